"""Monthly statistics of a variable, computed in one pass while its values stream by."""

import dataclasses
from pathlib import Path

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


class MonthlyStatistics:
    """Moments of a variable for each calendar month over all years.

    Only the month at hand is in memory; the others wait in files under `scratch`, so memory
    depends on the grid alone, not on the length of the record.

    Args:
        shape: grid (level, lat, lon).
        latitude: `(lat,)` degrees, descending.
        scratch: directory for the months that are not at hand.
        name: the variable, for the names of those files.
    """

    def __init__(self, shape, latitude: np.ndarray, scratch: Path, name: str):
        self.shape = tuple(shape)
        self.weights = area_weights(latitude)
        self.counts = np.zeros(MONTHS, np.int64)
        self._scratch = scratch
        self._name = name
        self._month: int | None = None
        self._moments: Moments | None = None

    def add(self, values: np.ndarray, months: np.ndarray) -> None:
        """Takes in `values` (time, level, lat, lon) of the `months` (time,), 0..11."""
        breaks = np.flatnonzero(np.diff(months)) + 1
        for part, of in zip(np.split(values, breaks), np.split(months, breaks), strict=True):
            if len(of):
                self._turn_to(int(of[0]))
                self._moments.add(part)
                self.counts[of[0]] += len(of)

    def _file(self, month: int) -> Path:
        return self._scratch / f"{self._name}-{month}.npy"

    def _turn_to(self, month: int) -> None:
        if month == self._month:
            return
        if self._month is not None:
            np.save(self._file(self._month), np.stack([self._moments.mean, self._moments.squares]))
        self._month, self._moments = month, self._load(month)

    def _load(self, month: int) -> Moments:
        if not self.counts[month]:
            return Moments.zero(self.shape)
        return Moments(int(self.counts[month]), *np.load(self._file(month)))

    def _get(self, month: int) -> Moments:
        return self._moments if month == self._month else self._load(month)

    def results(self):
        """Yields for each month its index and mean, std, mean_grid, std_grid (float32).

        `mean` and `std` are `(level,)`, the grids `(level, lat, lon)`. A month without data has
        the statistics of the whole record. Where a grid point is constant, its std is the
        level's.
        """
        record = None
        for month in range(MONTHS):
            if self.counts[month]:
                yield month, self._result(self._get(month))
            else:
                record = self._result(self._record()) if record is None else record
                yield month, record

    def _record(self) -> Moments:
        whole = Moments.zero(self.shape)
        for month in np.flatnonzero(self.counts):
            whole.merge(self._get(int(month)))
        return whole

    def _result(self, moments: Moments) -> dict[str, np.ndarray]:
        mean, std = moments.level(self.weights)
        mean_grid, std_grid = moments.grid()
        std_grid = std_grid.astype(np.float32)
        std_grid = np.where(std_grid > 0, std_grid, std.astype(np.float32)[:, None, None])
        values = {"mean": mean, "std": std, "mean_grid": mean_grid, "std_grid": std_grid}
        return {key: value.astype(np.float32) for key, value in values.items()}
