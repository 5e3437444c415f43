"""Statistics by month, summed while a store is written."""

import dataclasses
import functools
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from atmorep_k.data.stores.statistics import MONTHS, Moments, area_weights

_HEADER = np.dtype([("count", "<i8"), ("last", "<i8")])


@dataclasses.dataclass(frozen=True)
class MomentsFile:
    """Count, mean and squared deviations (see `Moments`) of a grid; never wholly in memory.

    Args:
        path: the file.
        shape: grid (level, lat, lon).
    """

    path: Path
    shape: tuple[int, int, int]

    def header(self) -> tuple[int, int]:
        """Returns the number of time steps, and of the last part taken in; (0, -1) without file."""
        if not self.path.exists():
            return 0, -1
        values = np.fromfile(self.path, _HEADER, count=1)[0]
        return int(values["count"]), int(values["last"])

    def level(self, level: int) -> Moments:
        """Returns the moments of one level, `(1, lat, lon)`."""
        count, _ = self.header()
        if not count:
            return Moments.zero((1, *self.shape[1:]))
        size = self.shape[1] * self.shape[2]
        offset = _HEADER.itemsize + 16 * size * level
        values = np.fromfile(self.path, np.float64, count=2 * size, offset=offset)
        mean, squares = values.reshape(2, 1, *self.shape[1:])
        return Moments(count, mean, squares)

    def write(self, count: int, last: int, level: Callable[[int], Moments]) -> None:
        """Writes the file anew, whole or not at all.

        Args:
            count: number of time steps.
            last: number of the last part taken in.
            level: function that gives the moments of a level.
        """
        partial = self.path.with_name(f"{self.path.name}.partial-{os.getpid()}")
        with partial.open("wb") as file:
            np.array([(count, last)], _HEADER).tofile(file)
            for number in range(self.shape[0]):
                moments = level(number)
                moments.mean.tofile(file)
                moments.squares.tofile(file)
        partial.replace(self.path)

    def create(self, count: int) -> None:
        """Makes a file of `count` time steps whose moments are put in place by place."""
        with self.path.open("wb") as file:
            np.array([(count, 0)], _HEADER).tofile(file)
            file.truncate(_HEADER.itemsize + 16 * int(np.prod(self.shape)))

    def put(self, rows: slice, columns: slice, moments: Moments) -> None:
        """Writes the moments (level, lat, lon) of some rows and columns into a file of `create`."""
        levels, *grid = self.shape
        mapped = np.memmap(
            self.path, np.float64, "r+", _HEADER.itemsize, shape=(levels, 2, *grid), order="C"
        )
        mapped[:, 0, rows, columns] = moments.mean
        mapped[:, 1, rows, columns] = moments.squares

    def merge(self, part: int, other: "MomentsFile") -> None:
        """Takes in the moments of `other`, a part of the record; once, however often it is called.

        Args:
            part: the number of the part; parts come in ascending order.
            other: its moments.
        """
        count, last = self.header()
        if part > last:
            total = count + other.header()[0]
            self.write(total, part, lambda level: self._merged(level, other))

    def _merged(self, level: int, other: "MomentsFile") -> Moments:
        moments = self.level(level)
        moments.merge(other.level(level))
        return moments


class MonthlyStatistics:
    """Moments of a variable for each calendar month over all years.

    All lie in files under `scratch`, read and written level by level: memory depends on the points
    of one level alone. A part of the record that has been taken in is not taken in again, so work
    that was stopped may begin anew with any part.

    Args:
        shape: grid (level, lat, lon).
        latitude: `(lat,)` degrees, descending.
        scratch: directory for the files.
        name: the variable, for their names.
    """

    def __init__(self, shape: tuple[int, int, int], latitude: np.ndarray, scratch: Path, name: str):
        levels, rows, columns = shape
        self.shape = (levels, rows, columns)
        self._weights = area_weights(latitude)
        self._scratch, self._name = scratch, name

    def _file(self, month: int | str) -> MomentsFile:
        return MomentsFile(self._scratch / f"{self._name}-month-{month}", self.shape)

    def part(self, number: int, month: int) -> MomentsFile:
        """Returns the file for the moments of a part of the record, to be written by anyone."""
        return MomentsFile(self._scratch / f"{self._name}-part-{number}-{month}", self.shape)

    @property
    def counts(self) -> np.ndarray:
        """Time steps of each month taken in, `(month,)`."""
        return np.array([self._file(month).header()[0] for month in range(MONTHS)], np.int64)

    def begin(self, month: int, count: int, level: Callable[[int], Moments]) -> None:
        """Begins a month with what is known of earlier years, unless it has begun.

        Args:
            month: 0..11.
            count: its time steps.
            level: function that gives the moments of a level.
        """
        if not self._file(month).path.exists():
            self._file(month).write(count, -1, level)

    def merge(self, number: int, months: Mapping[int, MomentsFile]) -> None:
        """Takes in the moments of a part of the record; parts come in ascending order.

        Args:
            number: the number of the part.
            months: its months (0..11) and their moments; the files are removed.
        """
        for month, moments in months.items():
            if moments.path.exists():
                self._file(month).merge(number, moments)
                moments.path.unlink()

    def add(self, number: int, values: np.ndarray, months: np.ndarray) -> None:
        """Takes in a part of the record at once, see `merge`.

        Args:
            number: the number of the part.
            values: `(time, level, lat, lon)`.
            months: `(time,)` calendar months, 0..11.
        """
        for month in np.unique(months):
            moments = Moments.zero(self.shape)
            moments.add(values[months == month])
            file = self.part(number, int(month))
            file.write(moments.count, number, moments.level_of)
            self.merge(number, {int(month): file})

    @functools.cached_property
    def _record(self) -> MomentsFile:
        """The moments of the whole record."""
        whole = self._file("all")
        whole.path.unlink(missing_ok=True)
        for number, month in enumerate(np.flatnonzero(self.counts)):
            whole.merge(number, self._file(int(month)))
        return whole

    def result(self, month: int, level: int) -> dict[str, np.ndarray]:
        """Returns mean, std, mean_grid and std_grid of a month and level, float32.

        `mean` and `std` are of the whole level, `()`; the grids are `(lat, lon)`. A month without
        data has the statistics of the whole record.
        """
        of = self._file(month)
        of = of if of.path.exists() else self._record
        moments = of.level(level)
        mean, std = moments.level(self._weights)
        mean_grid, std_grid = moments.grid()
        values = {"mean": mean, "std": std, "mean_grid": mean_grid, "std_grid": std_grid}
        return {key: value[0].astype(np.float32) for key, value in values.items()}
