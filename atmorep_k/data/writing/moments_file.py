"""Moments of the time steps of a month at each grid point, in a file read level by level."""

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from atmorep_k.data.stores.statistics import Moments

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
