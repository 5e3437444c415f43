"""Statistics of a store by month, level and place, and the files that hold them."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

MONTHS = 12


_BAND_VALUES = 2**20


# Less than this share of the mean is rounding: the values are all the same.
_ROUNDING = 1e-12


def months_of(time: np.ndarray) -> np.ndarray:
    """Returns the calendar month, 0..11, of each datetime64."""
    return time.astype("datetime64[M]").astype(np.int64) % MONTHS


def area_weights(latitude: np.ndarray) -> np.ndarray:
    """Returns the share of the area that each row of a grid covers; the sum is 1.

    The area between two latitudes is proportional to the difference of their sines; a row
    reaches half-way to its neighbours and no further than the poles.

    Args:
        latitude: `(lat,)` degrees, descending.
    """
    if len(latitude) == 1:
        return np.ones(1)
    middle = (latitude[1:] + latitude[:-1]) / 2
    first = latitude[0] + (latitude[0] - latitude[1]) / 2
    last = latitude[-1] - (latitude[-2] - latitude[-1]) / 2
    edges = np.clip(np.concatenate([[first], middle, [last]]), -90.0, 90.0)
    area = -np.diff(np.sin(np.deg2rad(edges)))
    return area / area.sum()


@dataclasses.dataclass
class Moments:
    """Count, mean and sum of squared deviations of some time steps at each grid point.

    Args:
        count: number of time steps.
        mean: `(level, lat, lon)` float64.
        squares: `(level, lat, lon)` float64, sum of squared deviations from the mean.
    """

    count: int
    mean: np.ndarray
    squares: np.ndarray

    @classmethod
    def zero(cls, shape: tuple[int, int, int]) -> "Moments":
        """Returns the moments of no time steps on a grid (level, lat, lon)."""
        return cls(0, np.zeros(shape), np.zeros(shape))

    def add(self, values: np.ndarray) -> None:
        """Takes in `values` (time, level, lat, lon), in bands of rows to keep copies small."""
        num_times, num_levels, num_rows, num_columns = values.shape
        if not num_times:
            return
        rows = max(1, _BAND_VALUES // (num_times * num_columns))
        for level in range(num_levels):
            for start in range(0, num_rows, rows):
                band = (level, slice(start, start + rows))
                part = values[:, level, start : start + rows].astype(np.float64)
                mean = part.mean(axis=0)
                part -= mean
                squares = np.einsum("tyx,tyx->yx", part, part)
                self._merge(band, num_times, mean, squares)
        self.count += num_times

    def level_of(self, level: int) -> "Moments":
        """Returns the moments of one level, `(1, lat, lon)`."""
        where = slice(level, level + 1)
        return Moments(self.count, self.mean[where], self.squares[where])

    def merge(self, other: "Moments") -> None:
        """Takes in the time steps of `other` (same grid)."""
        if other.count:
            self._merge(slice(None), other.count, other.mean, other.squares)
            self.count += other.count

    def _merge(self, where, count: int, mean: np.ndarray, squares: np.ndarray) -> None:
        # Chan, Golub and LeVeque (1983): pairwise update, stable for any size of the parts.
        total = self.count + count
        delta = mean - self.mean[where]
        self.mean[where] += delta * (count / total)
        self.squares[where] += squares + delta**2 * (self.count * count / total)

    def grid(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns mean and standard deviation (ddof 0) over time, `(level, lat, lon)`."""
        return self.mean, _without_rounding(np.sqrt(self.squares / self.count), self.mean)

    def level(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns mean and standard deviation over time and place, `(level,)`.

        Args:
            weights: `(lat,)` share of the area of each row.
        """
        share = weights[:, None] / self.mean.shape[-1]
        mean = (self.mean * share).sum(axis=(1, 2))
        spread = self.squares / self.count + (self.mean - mean[:, None, None]) ** 2
        return mean, _without_rounding(np.sqrt((spread * share).sum(axis=(1, 2))), mean)


def _without_rounding(std: np.ndarray, mean: np.ndarray) -> np.ndarray:
    return np.where(std > _ROUNDING * np.abs(mean), std, 0.0)


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

    def read(self, scope: Scope, slots: Sequence[int] | np.ndarray | None = None) -> Pair:
        """Returns mean and std, `(slot, level)` or `(slot, level, lat, lon)` float32.

        Args:
            scope: statistics of the whole field or of each grid point.
            slots: which months, ascending; all of which there are data if None.

        Raises:
            UserError: if the store lacks them.
        """
        wanted = np.array(self.slots if slots is None else slots, np.int64)
        first, stop = (int(wanted[0]), int(wanted[-1]) + 1) if len(wanted) else (0, 0)
        mean, std = (np.asarray(a, np.float32) for a in self.load(scope, first, stop))
        return mean[wanted - first], std[wanted - first]


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
