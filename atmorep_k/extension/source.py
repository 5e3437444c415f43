"""Models that start from saved ones: what they take, and how they are filled."""

import functools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from keras import ops

from atmorep_k.backend.weight_paths import path_in_model
from atmorep_k.errors import UserError
from atmorep_k.fields import FieldSpec
from atmorep_k.model import AtmoRep, dataflow
from atmorep_k.registry import Component
from atmorep_k.runs.directory import RunDirectory
from atmorep_k.saved.model import SavedModel


class ModelSource(Component):
    """Base of components that a training takes in place of a new model.

    A subclass gives `saved`, `architecture` and `silenced`.
    """

    @functools.cached_property
    def saved(self) -> list[SavedModel]:
        """The models it starts from."""
        raise NotImplementedError

    @functools.cached_property
    def architecture(self) -> AtmoRep:
        """The model to train: not built; `start` fills it when it is."""
        raise NotImplementedError

    def silenced(self) -> list[tuple[str, str]]:
        """Return the couplings (field, other) that are new and start at zero."""
        raise NotImplementedError

    def start(self, model: AtmoRep) -> None:
        """Give the built model its weights and statistics; what is new stays as it was built."""
        for saved in self.saved:
            take(saved.load(), model)
        for field, other in self.silenced():
            for coupler in model.part("encoder", field).couplers(other):
                coupler.silence()

    def summary(self, model: AtmoRep) -> list[str]:
        """Return lines that say what was taken, what is new, what is frozen and what is run."""
        return summary(self.saved, model)

    def conclude(self, task: Any, run: RunDirectory) -> None:
        """Is called when the training `task` has written its model into the directory `run`."""


def take(source: AtmoRep, target: AtmoRep) -> None:
    """Copy the weights and statistics of the fields that two built models share.

    Weights that the target has no place for (a coupling that it lacks) are left out.
    """
    places = {path_in_model(weight.path): weight for weight in target.weights}
    for weight in source.weights:
        if path_in_model(weight.path) in places:
            # A copy: JAX would share the buffer, and a compiled step may delete it.
            values = np.array(ops.convert_to_numpy(weight))
            places[path_in_model(weight.path)].assign(values)
    for name, normalizer in source.normalizers.items():
        if name in target.normalizers and normalizer.is_fitted:
            target.normalizers[name].load_state(normalizer.state())


def check_one_kind(saved: Sequence[SavedModel]) -> None:
    """Check that models can be one: no field twice, the same hours, the same ways.

    Raises:
        UserError: if they cannot be joined; names the two and what differs.
    """
    first = saved[0]
    owner: dict[str, SavedModel] = {}
    for other in saved:
        for name in other.names:
            if name in owner:
                raise UserError(
                    f"{owner[name].path} and {other.path} both have the field {name!r}; "
                    f"each field may come from one model only."
                )
            owner[name] = other
        for what in ("encode", "dtype"):
            ours, theirs = (getattr(s.architecture, what) for s in (first, other))
            if ours != theirs:
                raise UserError(
                    f"{first.path} and {other.path} cannot be one model: {what} is {ours!r} in the "
                    f"first and {theirs!r} in the second."
                )


def joined(
    saved: Sequence[SavedModel],
    fields: Sequence[FieldSpec],
    coupler: Any = None,
    parts: dict[str, dict[str, Any]] | None = None,
    **options,
) -> AtmoRep:
    """Return the model of some fields with the components that they have in saved models.

    Args:
        saved: the models; what the first has for all its fields, all fields have.
        fields: all fields, those of the models with the couplings that they are to have.
        coupler: of fields that had no couplings; None: as in the first model.
        parts: field -> role -> component, for fields that are new.
        **options: of `AtmoRep`.
    """
    first = saved[0].architecture
    common = dict(first.templates)
    if common["coupler"] is None:
        common["coupler"] = coupler
    own: dict[str, dict[str, Any]] = {name: dict(of) for name, of in (parts or {}).items()}
    for model in (s.architecture for s in saved):
        for field in model.fields:
            of = {role: model.templates.of(role, field.name) for role in model.templates}
            if coupler is not None and not field.couplings:
                of["coupler"] = coupler
            # Without couplings any coupler will do; without a first guess there is none.
            asked = {r for r in of if of[r] is not None or r != "coupler"}
            different = {r for r in asked if not _alike(of[r], common[r])}
            own[field.name] = {role: of[role] for role in different}
    return AtmoRep(
        fields, **common, parts=own, encode=first.encode, dtype=first.dtype_policy, **options
    )


def _alike(one: Any, other: Any) -> bool:
    """Return whether components are equal; the numbered names that Keras gives do not count."""
    if one is None or other is None:
        return one is other
    configs = [{k: v for k, v in part.get_config().items() if k != "name"} for part in (one, other)]
    return type(one) is type(other) and configs[0] == configs[1]


def summary(saved: Sequence[SavedModel], model: AtmoRep) -> list[str]:
    """Return lines on what a built model took from saved ones, what is new and what is trained."""
    lines = []
    for source in saved:
        for name in source.names:
            weights = [w for w in model.weights if _belongs(w, name)]
            lines.append(
                f"taken    {name} of {source.path} ({source.sha256[:12]}): "
                f"{_share(weights, frozen=True)}"
            )
    old = {name for source in saved for name in source.names}
    for field in model.fields:
        if field.name not in old:
            weights = [w for w in model.weights if _belongs(w, field.name)]
            levels = f"{len(field.levels)} level{'s' if len(field.levels) > 1 else ''}"
            lines.append(
                f"new      {field.name}: {levels}, {field.num_tokens} tokens of "
                f"{field.token_size}, {field.embed_dim} channels: "
                f"{count_weights(weights):,} weights"
            )
    for field in model.fields:
        for other in field.couplings:
            lines += _coupling(saved, model, field.name, other)
    lines.append(f"trained  {_share(model.weights, frozen=False)}")
    return [*lines, f"step     {'; '.join(_run_in_a_step(model))}"]


def _run_in_a_step(model: AtmoRep) -> Iterator[str]:
    """Yield what a training step runs of each field."""
    depth = {f.name: model.part("encoder", f.name).num_layers for f in model.fields}
    needed = dataflow.layers_needed(model.fields, model.learning, depth.__getitem__)
    for field in model.fields:
        name = field.name
        if name in model.learning:
            yield f"{name} wholly"
        else:
            yield f"{name} {needed[name]} of {depth[name]} encoder layers, no decoder, no tail"


def _belongs(weight, field: str) -> bool:
    return path_in_model(weight.path).split("/")[1] == field


def _coupling(saved, model: AtmoRep, field: str, other: str) -> list[str]:
    for source in saved:
        spec = next((f for f in source.architecture.fields if f.name == field), None)
        if spec and other in spec.couplings:
            return []
    couplers = model.part("encoder", field).couplers(other)
    size = count_weights(w for coupler in couplers for w in coupler.weights)
    return [f"new      {field} attends to {other}: {size:,} weights"]


def count_weights(weights: Iterable) -> int:
    """Return the number of values in some weights."""
    return sum(int(np.prod(w.shape)) for w in weights)


def _share(weights, *, frozen: bool) -> str:
    chosen = count_weights(w for w in weights if w.trainable != frozen)
    total = f"{count_weights(weights):,} weights"
    if not frozen:
        return f"{chosen:,} of {total}"
    return (
        f"{total}, frozen"
        if chosen == count_weights(weights)
        else f"{total}, {chosen:,} of them frozen"
    )
