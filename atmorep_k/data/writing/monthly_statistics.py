"""Monthly statistics of a variable over all years, kept in files while its values stream by."""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from atmorep_k.data.stores.statistics import MONTHS, Moments, area_weights
from atmorep_k.data.writing.moments_file import MomentsFile


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
        self.shape = tuple(shape)
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
