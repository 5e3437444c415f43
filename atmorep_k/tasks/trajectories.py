"""The trajectories of a rollout: a model is fed with its own forecasts."""

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from atmorep_k.earth.times import iso
from atmorep_k.errors import UserError
from atmorep_k.inference.ingredients import partial_of
from atmorep_k.inference.output import collect
from atmorep_k.inference.plan import Prepared
from atmorep_k.inference.predicting import predict_windows
from atmorep_k.inference.request import Answer, Output
from atmorep_k.tasks.fed_windows import FedWindows
from atmorep_k.windows.opened import StoreWindows

if TYPE_CHECKING:
    import xarray as xr

_HOUR = np.timedelta64(1, "h")


@dataclasses.dataclass(frozen=True)
class Rounds:
    """How forecasts are fed back.

    Args:
        hours: how far to forecast, at least.
        feed: what is fed back, see `Rollout`.
        seed: seed of the draws.
        overlap: tokens that windows share, which distinguish predictions that can be resumed.
    """

    hours: float
    feed: str
    seed: int
    overlap: Sequence[int]


def rolled_out(
    plan: Prepared,
    output: Output,
    rounds: Rounds,
    progress: Callable[[int, int], None] | None = None,
) -> Answer:
    """Returns the trajectories of a rollout, and what they were made with.

    Args:
        plan: a forecast of one round.
        output: where the result goes.
        rounds: how forecasts are fed back.
        progress: called with the number of forecasts of a trajectory so far, and of all.
    """
    number = math.ceil(rounds.hours * _HOUR / plan.frame.leads[-1])
    _check(plan, number)
    plan.frame.attributes["feed"] = rounds.feed
    partial = partial_of(
        plan,
        output,
        batch_size=plan.batch_size,
        rounds=number,
        seed=rounds.seed,
        overlap=rounds.overlap,
    )
    course = _Course(plan, rounds, number, progress, partial.done if partial else 0)
    result = collect(course.pieces(), plan.frame.encoding(), output.path, partial)
    return Answer(result, plan.model, plan.frame.stores)


def _check(plan: Prepared, rounds: int) -> None:
    first, *others = plan.model.predicted
    for field in others:
        if field.token_size[0] != first.token_size[0]:
            raise UserError(
                f"a rollout feeds all fields with the same hours, but a token of {first.name!r} "
                f"has {first.token_size[0]} times and one of {field.name!r} {field.token_size[0]}."
            )
    last = plan.frame.times(int(plan.starts[-1]))[plan.frame.hours.reference]
    last = last + rounds * plan.frame.leads[-1]
    for field in plan.model.fields:
        known = _opened(plan).store_of(field.name)
        if not field.predicted and known.time[-1] < last:
            raise UserError(
                f"{field.name!r} is input only and must be known until {iso(last)}, but "
                f"{known.path} ends at {iso(known.time[-1])}."
            )


def _opened(plan: Prepared) -> StoreWindows:
    assert isinstance(plan.dataset, StoreWindows), "a rollout begins with what a store has"
    return plan.dataset


class _Course:
    """All rounds of all times but the first `skip`."""

    def __init__(self, plan: Prepared, fed: Rounds, rounds: int, progress, skip: int):
        self._plan, self._fed, self._rounds = plan, fed, rounds
        self._progress = progress
        time, frame = plan.frame.store.time, plan.frame
        self._shift = int(frame.leads[-1] / (time[1] - time[0]))
        self._done, self._skip = 0, skip

    def pieces(self) -> Iterator["xr.Dataset"]:
        """Yields the prediction of each time."""
        for start in self._plan.starts[self._skip :]:
            yield self._piece(int(start))

    def _piece(self, start: int) -> "xr.Dataset":
        import xarray as xr

        windows, parts = [self._windows()], []
        for number in range(self._rounds):
            at = start + number * self._shift
            found = [self._predicted(seen, at) for seen in windows]
            size = found[0].sizes["number"]
            if self._fed.feed == "mean":
                parts.append(found[0])
                windows[0].feed(found[0].isel(time=0).mean("number"))
                continue
            if not number:  # all trajectories begin alike
                found, windows = found * size, [self._windows() for _ in range(size)]
            chosen = self._chosen(start, number, size)
            found = [f.isel(number=[m]) for f, m in zip(found, chosen, strict=True)]
            for fed, of in zip(windows, found, strict=True):
                fed.feed(of.isel(time=0, number=0))
            part = xr.concat(found, "number", data_vars="minimal")
            parts.append(part.assign_coords(number=np.arange(size)))
        return self._joined(parts)

    def _windows(self) -> FedWindows:
        plan = self._plan
        return FedWindows(_opened(plan), plan.frame, plan.model.predicted, plan.model.normalizers)

    def _predicted(self, windows: FedWindows, start: int) -> "xr.Dataset":
        one = dataclasses.replace(self._plan, dataset=windows, starts=np.array([start]))
        (found,) = predict_windows(one)
        self._advance(found.sizes["number"])
        return found

    def _advance(self, members: int) -> None:
        """Counts what has been forecast: at first one window for all trajectories, then each."""
        self._done += 1
        later = (self._rounds - 1) * (1 if self._fed.feed == "mean" else members)
        if self._progress:
            of_one = 1 + later
            done = self._skip * of_one + self._done
            self._progress(done, len(self._plan.starts) * of_one)

    def _chosen(self, start: int, number: int, size: int) -> np.ndarray:
        """Returns with which member of its forecast each trajectory continues."""
        if self._fed.feed == "members":
            return np.arange(size)
        hour = int(self._plan.frame.times(start)[0].astype("datetime64[m]").astype(np.int64))
        return np.random.default_rng([self._fed.seed, hour % 2**63, number]).permutation(size)

    def _joined(self, parts: list) -> "xr.Dataset":
        import xarray as xr

        first = parts[0]["time"].values
        moved = []
        for part in parts:
            leads = part["prediction_timedelta"] + (part["time"].values - first)[0]
            moved.append(part.assign_coords(time=first, prediction_timedelta=leads))
        joined = xr.concat(moved, "prediction_timedelta", data_vars="minimal")
        joined["prediction_timedelta"].attrs = parts[0]["prediction_timedelta"].attrs
        joined["time"].attrs = parts[0]["time"].attrs
        return joined.transpose(*self._plan.frame.dims)
