"""Runs made ready for our components: one name per weight, several runs put side by side."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from atmorep_k.errors import UserError
from atmorep_k.original.checkpoint import PER_FIELD, SHARED, Array, Run, State
from atmorep_k.original.settings import Settings, window_shape


@dataclasses.dataclass(frozen=True)
class Unused:
    """A weight of a file that no part of the model takes, and why that is right."""

    key: str
    array: Array
    reason: str


@dataclasses.dataclass(frozen=True)
class Source:
    """One or more runs as a single set of weights.

    Args:
        runs: where they come from.
        settings: of the model of all.
        state: key -> array, each weight under one name.
        unused: what was left out.
    """

    runs: tuple[Run, ...]
    settings: Settings
    state: State
    unused: tuple[Unused, ...]

    @property
    def is_assembled(self) -> bool:
        """Whether weights come from files of blocks, which need not have couplings."""
        return any(run.is_assembled for run in self.runs)

    @property
    def per_head(self) -> bool:
        """Whether heads have projections of their own, as until 2023."""
        return _per_head(self.state)


def _per_head(state: State) -> bool:
    return any(".proj_qs." in key for key in state)


def one_source(runs: Sequence[Run]) -> Source:
    """Puts runs side by side; each keeps the couplings that it has.

    Raises:
        UserError: if they share a field, or differ in an option, the window or the layout.
    """
    cleaned = [_clean(run) for run in runs]
    first = runs[0].settings
    if len(runs) == 1:
        state, unused = cleaned[0]
        return Source(tuple(runs), first, state, tuple(unused))
    for run, (state, _) in zip(runs[1:], cleaned[1:], strict=True):
        _check_alike(runs[0], run)
        if _per_head(state) != _per_head(cleaned[0][0]):
            raise UserError(
                f"runs {runs[0].name} and {run.name} are of different layouts (2023 and 2024), "
                f"which normalise differently; they cannot be one model."
            )
    fields = [field for run in runs for field in run.settings.fields]
    names = [field.name for field in fields]
    if len(set(names)) < len(names):
        raise UserError(f"the runs share a field: {names}; each may come once.")
    weights = {name: w for run in runs for name, w in run.settings.weights.items()}
    settings = dataclasses.replace(first, fields=tuple(fields), weights=weights)
    joined: State = {}
    num_fields = num_predicted = 0
    for run, (part, _) in zip(runs, cleaned, strict=True):
        joined |= {_renumbered(k, num_fields, num_predicted): a for k, a in part.items()}
        num_fields += len(run.settings.fields)
        num_predicted += len(run.settings.weights)
    return Source(tuple(runs), settings, joined, tuple(u for _, us in cleaned for u in us))


def _check_alike(one: Run, other: Run) -> None:
    for name, value in one.settings.options.items():
        theirs = other.settings.options[name]
        if theirs != value and name != "dropout_rate":
            raise UserError(
                f"runs {one.name} and {other.name} cannot be one model: {name} is {value!r} in the "
                f"first and {theirs!r} in the second."
            )
    windows = [window_shape(run.settings.fields[0]) for run in (one, other)]
    if windows[0] != windows[1]:
        raise UserError(
            f"runs {one.name} and {other.name} cannot be one model: they see windows of "
            f"{windows[0]} and {windows[1]} points (time, lat, lon)."
        )


def _renumbered(key: str, num_fields: int, num_predicted: int) -> str:
    block, _, rest = key.partition(".")
    number, _, rest = rest.partition(".")
    if not number.isdigit():
        return key
    offset = num_predicted if block in ("decoders", "tails") else num_fields
    return f"{block}.{int(number) + offset}.{rest}"


def _clean(run: Run) -> tuple[State, list[Unused]]:
    """Gives every weight one name, and says what is left out."""
    state, unused = dict(run.state), []
    for key, array in run.state.items():
        if 0 in array.shape:
            unused.append(Unused(key, state.pop(key), "it is empty"))
    _unite_embeddings(run, state, unused)
    _choose_token_info(run, state, unused)
    return state, unused


def _unite_embeddings(run: Run, state: State, unused: list[Unused]) -> None:
    # The original stores one tensor under two names.
    for number in range(len(run.settings.fields)):
        for word in ("weight", "bias"):
            key, second = f"embeds.{number}.{word}", f"encoders.{number}.embed.{word}"
            if second not in state:
                continue
            array = state.pop(second)
            if key not in state:
                state[key] = array
            elif array.shape != state[key].shape or not np.array_equal(
                array.values(), state[key].values()
            ):
                raise UserError(
                    f"{array.file}: {key!r} and {second!r} are one weight under two names, but "
                    f"they differ; the file is damaged."
                )
            else:
                unused.append(Unused(second, array, "a second name of the tokens' embedding"))


def _choose_token_info(run: Run, state: State, unused: list[Unused]) -> None:
    """Takes the net that all fields shared in old versions where the fields' own are not there.

    As the original does when it loads a model: also where the first field's own weights are all 0.
    """
    shared = {k: state.pop(k) for k in list(state) if k.startswith(f"{SHARED}.")}
    first = state.get(f"{PER_FIELD}.0.weight")
    if first is not None and np.any(first.values()):
        reason = "the fields have nets of their own, nothing reads it"
        unused += [Unused(key, array, reason) for key, array in shared.items()]
        return
    if not shared:
        return
    own = [key for key in state if key.startswith(f"{PER_FIELD}.")]
    reason = f"the first field's weights are all 0, so all fields take {SHARED} as the original"
    unused += [Unused(key, state.pop(key), reason) for key in own]
    for number in range(len(run.settings.fields)):
        for key, array in shared.items():
            state[f"{PER_FIELD}.{number}.{key.partition('.')[2]}"] = array
