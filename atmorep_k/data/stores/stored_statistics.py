"""The monthly statistics of a variable as a store holds them, read when they are needed."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

Scope = Literal["global", "grid_point"]
Pair = tuple[np.ndarray, np.ndarray]

# A spread below the resolution of float32 beside the mean is rounding, not weather.
SMALLEST_SPREAD = 1e-6


@dataclasses.dataclass(frozen=True)
class StoredStatistics:
    """Mean and standard deviation of a variable for each month.

    A slot is a month: one of the twelve of the calendar (0 to 11), over all years; or, where there
    is a first year, one of a year: slot = 12 (year - first_year) + month - 1.

    Args:
        source: what they are of, for messages: `'temperature' in era5.zarr`.
        levels: `(level,)` the levels, for messages.
        slots: `(slot,)` ascending, the months of which there are data.
        first_year: see above; None where slots are calendar months.
        scopes: of what there are statistics: the whole field, each grid point, or both.
        load: function (scope, first slot, stop) -> mean and std, `(slot, level)` or
            `(slot, level, lat, lon)`, of that range of slots.
    """

    source: str
    levels: Sequence[float]
    slots: np.ndarray
    first_year: int | None
    scopes: tuple[Scope, ...]
    load: Callable[[Scope, int, int], Pair]

    def read(self, scope: Scope, slots: Sequence[int] | None = None) -> Pair:
        """Returns mean and std, `(slot, level)` or `(slot, level, lat, lon)` float32.

        Args:
            scope: statistics of the whole field or of each grid point.
            slots: which months, ascending; all of which there are data if None.

        Raises:
            UserError: where the store lacks them.
        """
        slots = np.array(self.slots if slots is None else slots, np.int64)
        first, stop = (slots[0], slots[-1] + 1) if len(slots) else (0, 0)
        mean, std = self.load(scope, int(first), int(stop))
        return tuple(np.asarray(a, np.float32)[slots - first] for a in (mean, std))


def usable(mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Returns bool (slot, level): whether one can normalise with the statistics of a level.

    They are finite, and values vary somewhere.

    Args:
        mean: (slot, level) or (slot, level, lat, lon).
        std: likewise.
    """
    places = tuple(range(2, mean.ndim))
    finite = np.isfinite(mean) & np.isfinite(std)
    return finite.all(axis=places) & varies(mean, std).any(axis=places)


def varies(mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Returns whether values vary more than rounding does, for each mean and its spread."""
    with np.errstate(invalid="ignore"):
        return std > SMALLEST_SPREAD * np.abs(mean)


def fill_constant(mean: np.ndarray, std: np.ndarray, of_level: np.ndarray) -> np.ndarray:
    """Returns std (..., level, lat, lon), where a point never varies that of its level.

    Args:
        mean: (..., level, lat, lon).
        std: likewise.
        of_level: (..., level) spread of the whole level.
    """
    return np.where(varies(mean, std), std, of_level[..., None, None])
