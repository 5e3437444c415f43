"""Forecasts beyond a window: a model is fed with its own forecasts."""

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from atmorep_k.earth.times import iso
from atmorep_k.errors import UserError, unknown
from atmorep_k.inference import output as prediction_files
from atmorep_k.inference import predicting
from atmorep_k.inference.plan import Prepared, prepare
from atmorep_k.inference.resuming import partial_of
from atmorep_k.tasks import hidden_parts
from atmorep_k.tasks.fed_windows import FedWindows

if TYPE_CHECKING:
    import xarray as xr

FEEDS = ("members", "random", "mean")
_HOUR = np.timedelta64(1, "h")


def rollout(
    model,
    store: str,
    times: Sequence,
    *,
    hours: float,
    tokens: int = 1,
    feed: str = "members",
    seed: int = 0,
    output: str | Path | None = None,
    overwrite: bool = False,
    resume: bool = False,
    batch_size: int = 16,
    progress: Callable[[int, int], None] | None = None,
    finish: Callable | None = None,
    **options,
) -> "xr.Dataset":
    """Forecasts further than a window reaches: each forecast becomes what the next one sees.

    Memory holds one time: for each member, 4 bytes for every hour of a window, level and point,
    and for every hour forecast.

    Args:
        model: as in `inference.forecast`.
        store: as in `inference.forecast`; fields that are input only must be there for all hours.
        times: the last visible hours.
        hours: how far to forecast, at least.
        tokens: time tokens that are forecast at once.
        feed: `members`: each member is a trajectory, fed with what the same member of the tails
            forecasts; `random`: likewise, with members that are drawn anew each time; `mean`: all
            see the mean, so that the spread is that of a single forecast.
        seed: of what is drawn.
        output: as in `inference.run`.
        overwrite: as in `inference.run`.
        resume: as in `inference.run`.
        batch_size: as in `inference.run`.
        progress: called with the number of forecasts of a trajectory so far, and of all.
        finish: as in `inference.run`.
        **options: `stores`, `region` and `overlap`, see `inference.run`.

    Returns:
        As `inference.forecast`; `number` numbers trajectories.

    Raises:
        UserError: where something does not fit, before work begins.
    """
    if feed not in FEEDS:
        raise unknown("feed", feed, list(FEEDS))
    if not hours > 0:
        raise UserError(f"the hours to forecast must be more than 0, not {hours:g}.")
    options |= {"output": output, "overwrite": overwrite, "batch_size": batch_size}
    masking_for = hidden_parts.last_tokens(tokens, further="")
    plan = prepare("rollout", model, store, times, masking_for, after_hours=hours, **options)
    rounds = math.ceil(hours * _HOUR / plan.frame.leads[-1])
    _check(plan, rounds)
    plan.frame.attributes["feed"] = feed
    settings = {"rounds": rounds, "seed": seed, "overlap": options.get("overlap")}
    partial = partial_of(plan, output, resume, batch_size=batch_size, **settings)
    done = partial.done if partial else 0
    course = _Course(plan, rounds, feed, seed, batch_size, progress, done)
    result = prediction_files.collect(course.pieces(), plan.frame.encoding(), output, partial)
    if finish:
        finish(result, plan.model, plan.frame.stores)
    return result


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
        known = plan.dataset.store_of(field.name)
        if not field.predicted and known.time[-1] < last:
            raise UserError(
                f"{field.name!r} is input only and must be known until {iso(last)}, but "
                f"{known.path} ends at {iso(known.time[-1])}."
            )


class _Course:
    """All rounds of all times but the first `skip`."""

    def __init__(
        self, plan: Prepared, rounds: int, feed: str, seed: int, batch_size, progress, skip: int
    ):
        self._plan, self._rounds, self._feed, self._seed = plan, rounds, feed, seed
        self._batch_size, self._progress = batch_size, progress
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
            if self._feed == "mean":
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
        return FedWindows(plan.dataset, plan.frame, plan.model.predicted, plan.model.normalizers)

    def _predicted(self, windows: FedWindows, start: int) -> "xr.Dataset":
        plan = self._plan
        one = predicting.predict(
            plan.model,
            windows,
            plan.maskings,
            [start],
            plan.frame,
            batch_size=self._batch_size,
        )
        (found,) = one
        self._advance(found.sizes["number"])
        return found

    def _advance(self, members: int) -> None:
        """Counts what has been forecast: at first one window for all trajectories, then each."""
        self._done += 1
        later = (self._rounds - 1) * (1 if self._feed == "mean" else members)
        if self._progress:
            of_one = 1 + later
            done = self._skip * of_one + self._done
            self._progress(done, len(self._plan.starts) * of_one)

    def _chosen(self, start: int, number: int, size: int) -> np.ndarray:
        """Returns which member of its forecast each trajectory goes on with."""
        if self._feed == "members":
            return np.arange(size)
        hour = int(self._plan.frame.times(start)[0].astype("datetime64[m]").astype(np.int64))
        return np.random.default_rng([self._seed, hour % 2**63, number]).permutation(size)

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
