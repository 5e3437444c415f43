"""Gaps of a record: where they are, which windows can fill them, and with what."""

import dataclasses
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from atmorep_k.components.maskings import MissingTokens
from atmorep_k.data.stores.base import Store
from atmorep_k.earth import places
from atmorep_k.earth.times import iso
from atmorep_k.errors import UserError
from atmorep_k.evaluation import truth
from atmorep_k.fields import FieldSpec, Position
from atmorep_k.inference.canvas import mean_and_spread
from atmorep_k.inference.frame import Frame
from atmorep_k.inference.request import Task
from atmorep_k.inference.variants import Variants, WindowChoice
from atmorep_k.protocols import Masking, Model
from atmorep_k.windows.opened import StoreWindows
from atmorep_k.windows.sample import Sample

if TYPE_CHECKING:
    import xarray as xr

_BLOCK_DIMS = ("prediction_timedelta", "latitude", "longitude")

log = logging.getLogger(__name__)


def filling(region: Sequence[float] | None, hours: Sequence[float] | None) -> Task:
    """Returns the task that predicts what is missing.

    Args:
        region: (south, north, west, east) of the block of known values to mask as well, or None.
        hours: the first and the last hour of the block after the beginning of a window.

    Raises:
        UserError: if the block is not valid.
    """
    block = _Block.of(region, hours)
    infilling = _Infilling(block)
    return Task(
        "infill",
        "Record with predictions where values are missing",
        lambda model: [],  # `choose` says what is masked
        at_random=True,
        variants=Variants(combine=infilling.combined),
        choose=infilling.choose,
        settings=block,
    )


@dataclasses.dataclass(frozen=True)
class _Block:
    """Known values that are treated as missing.

    Args:
        region: (south, north, west, east) in degrees.
        hours: the first and the last one after the beginning of a window.
    """

    region: tuple[float, ...]
    hours: tuple[float, ...]

    @classmethod
    def of(cls, region, hours) -> "_Block | None":
        if region is None:
            if hours is not None:
                raise UserError("hours need a block: give (south, north, west, east) too.")
            return None
        places.inside(np.zeros(1), np.zeros(1), region)
        hours = (0.0, np.inf) if hours is None else tuple(hours)
        if len(hours) != 2 or not 0 <= hours[0] <= hours[1]:
            raise UserError(f"hours must be 0 <= first <= last, not {list(hours)}.")
        return cls(tuple(region), hours)

    def __call__(self, times, latitude, longitude) -> np.ndarray:
        """Returns bool (time, lat, lon)."""
        rows, columns, _ = places.inside(latitude, longitude, self.region)
        after = (times - times[0]) / np.timedelta64(1, "h")
        inside = (after >= self.hours[0]) & (after <= self.hours[1])
        return inside[:, None, None] & rows[:, None] & columns


class _WithGaps:
    """A dataset whose missing values are left to the masking."""

    def __init__(self, dataset: StoreWindows, block: _Block | None):
        self._dataset, self._block = dataset, block
        self.indices = dataset.indices

    def sample(self, position: Position, masking: Masking, rng: np.random.Generator) -> Sample:
        """Returns a window; what is missing in it is NaN for the masking."""
        return self._dataset.sample(position, masking, rng, missing="keep", without=self._block)


class _Infilling:
    """What is known once the windows are: where gaps are, and what lies around them."""

    def __init__(self, block: _Block | None):
        self._block = block
        self._frame: Frame | None = None

    def choose(self, model: Model, dataset: StoreWindows, starts, frame: Frame) -> WindowChoice:
        """Returns the windows that have gaps, and a masking with a slot for each missing token."""
        self._frame = frame
        needs = {start: self._needs(model, dataset, frame, start) for start in starts}
        self._check(needs, frame)
        numbers = {start: _chosen(of) for start, of in needs.items()}
        slots = max(needs[start][number].slots for start, of in numbers.items() for number in of)
        masking = MissingTokens(slots=slots)
        return WindowChoice(_WithGaps(dataset, self._block), [masking], numbers)

    def _needs(
        self, model: Model, dataset: StoreWindows, frame: Frame, start: int
    ) -> list["_Need"]:
        written = [f.name for f in frame.fields]
        found = []
        for tile in frame.tiling.tiles(start):
            gaps = dataset.gaps(tile, self._block)
            found.append(
                _Need(
                    slots=max(int(missing.sum(axis=1).max()) for missing in gaps.values()),
                    wanted=any(gaps[name].any() for name in written),
                    possible=_sees_something(model, gaps),
                )
            )
        return found

    def _check(self, needs: dict[int, list["_Need"]], frame: Frame) -> None:
        when = ", ".join(iso(frame.named(start)) for start in needs)
        if not any(need.wanted for of in needs.values() for need in of):
            why = "the block holds no point of" if self._block else "nothing is missing in"
            raise UserError(f"{why} the windows of {when} in {frame.store.path}.")
        for start, of in needs.items():
            left = sum(need.wanted and not need.possible for need in of)
            time = iso(frame.named(start))
            if not any(need.possible for need in of):
                raise UserError(
                    f"nothing can be filled at {time}: too much is missing in all windows of "
                    f"{frame.store.path}; choose a time whose windows reach beyond the gap."
                )
            if left:
                log.warning(
                    "%s: in %d of %d windows so much is missing that a model would see nothing; "
                    "these gaps remain",
                    time,
                    left,
                    len(of),
                )

    def combined(self, found: dict[str, "xr.Dataset"], members: bool) -> "xr.Dataset":
        """Returns a prediction with the known values in their places."""
        assert self._frame is not None, "windows are chosen before they are combined"
        prediction = found[""]
        variables: dict[str, xr.Variable] = {}
        for field in self._frame.fields:
            shown = prediction[field.name]
            known = self._known(self._frame.stores[field.name], field, prediction)
            filled = shown.where(known.isnull(), known).transpose(*shown.dims).variable
            filled.attrs = shown.attrs
            hidden = (known.isnull() & shown.notnull().all("number")).variable
            hidden.attrs = {"long_name": f"whether {field.name.replace('_', ' ')} is predicted"}
            named = {field.name: filled} if members else mean_and_spread(field.name, filled)
            variables |= named | {f"{field.name}_hidden": hidden}
        kept = {n: c.variable for n, c in prediction.coords.items() if members or n != "number"}
        return type(prediction)(variables, kept, prediction.attrs)

    def _known(self, store: Store, field: FieldSpec, prediction: "xr.Dataset") -> "xr.DataArray":
        """Returns the values (time, lead, [level,] lat, lon) of the store; NaN where missing."""
        import xarray as xr

        shown = prediction[field.name].isel(number=0, drop=True)
        known = truth.beside(store, field, shown)
        known = known.where(np.isfinite(known))
        if self._block:
            times = prediction["time"].values + prediction["prediction_timedelta"].values
            block = self._block(times, *(prediction[n].values for n in _BLOCK_DIMS[1:]))
            known = known.where(~xr.DataArray(block, dims=_BLOCK_DIMS))
        return known


@dataclasses.dataclass(frozen=True)
class _Need:
    """What a window needs: slots of a level, whether it has gaps, whether they can be filled."""

    slots: int
    wanted: bool
    possible: bool


def _sees_something(model: Model, gaps: dict[str, np.ndarray]) -> bool:
    """Returns whether something is left to see; in each level, for models that encode only that."""
    if getattr(model, "encode", "all") != "all":
        return not any(missing.all(axis=1).any() for missing in gaps.values())
    return len(gaps) < len(model.fields) or not all(missing.all() for missing in gaps.values())


def _chosen(needs: list[_Need]) -> list[int]:
    """Returns the windows with gaps to fill; one without, of a time that has none to fill."""
    possible = [n for n, need in enumerate(needs) if need.possible]
    return [n for n in possible if needs[n].wanted] or possible[:1]
