"""Writing one variable of a store: values wait for a full time shard, which is written once."""

import concurrent.futures
import itertools

import numpy as np

from atmorep_k.data.layout import TIME_SHARD
from atmorep_k.data.statistics import MonthlyStatistics
from atmorep_k.errors import UserError


class VariableWriter:
    """One variable being written.

    Args:
        name: the variable.
        array: its Zarr array.
        time: `(time,)` of the store.
        months: `(time,)` calendar months, 0..11.
        shape: its grid (level, latitude, longitude).
        statistics: takes in every value.
    """

    def __init__(self, name, array, time, months, shape, statistics: MonthlyStatistics):
        self.name, self.shape, self.statistics = name, shape, statistics
        self.end = 0  # time steps taken in
        self._array, self._time, self._months = array, time, months
        self._waiting: np.ndarray | None = None

    def add(self, values: np.ndarray) -> None:
        """Takes in the next time steps, `(time, level, latitude, longitude)`.

        Raises:
            UserError: where the shape is another, a value is missing, or there are too many.
        """
        values = np.asarray(values, np.float32)
        if values.ndim != 4 or values.shape[1:] != self.shape:
            raise UserError(
                f"a block of {self.name!r} has shape {values.shape}, not (time, level, latitude, "
                f"longitude) with {self.shape} after time."
            )
        if self.end + len(values) > len(self._time):
            raise UserError(f"{self.name!r} has more than {len(self._time)} time steps.")
        while len(values):
            in_shard = self.end % TIME_SHARD
            whole = len(values) - len(values) % TIME_SHARD
            size = whole if whole and not in_shard else TIME_SHARD - in_shard
            self._take(values[:size])
            values = values[size:]

    def _take(self, values: np.ndarray) -> None:
        """Takes in whole time shards, or steps of one; writes a shard when it is complete."""
        start, self.end = self.end, self.end + len(values)
        self._check_finite(values, start)
        self.statistics.add(values, self._months[start : self.end])
        shard = start - start % TIME_SHARD
        size = min(TIME_SHARD, len(self._time) - shard)
        if len(values) >= size:
            self._write(shard, values)
            return
        if self._waiting is None:
            self._waiting = np.empty((size, *self.shape), np.float32)
        self._waiting[start - shard : self.end - shard] = values
        if self.end - shard == size:
            self._write(shard, self._waiting)
            self._waiting = None

    def _write(self, start: int, values: np.ndarray) -> None:
        assign(self._array, start, values if self._array.ndim == 4 else values[:, 0])

    def _check_finite(self, values: np.ndarray, start: int) -> None:
        # The sum of a step is finite only if all its values are: cheaper than a mask of them.
        with np.errstate(invalid="ignore", over="ignore"):
            sums = values.sum(axis=(1, 2, 3), dtype=np.float64)
        if not np.all(np.isfinite(sums)):
            first = self._time[start + int(np.argmin(np.isfinite(sums)))]
            raise UserError(
                f"variable {self.name!r} has missing or infinite values, first at "
                f"{np.datetime_as_string(first, 'm')}; fill them, or leave the variable out."
            )

    def finish(self) -> None:
        """Checks that all time steps have come.

        Raises:
            UserError: where they have not.
        """
        if self.end < len(self._time):
            raise UserError(f"{self.name!r} ends after {self.end} of {len(self._time)} time steps.")


def assign(array, start: int, values: np.ndarray) -> None:
    """Writes values at `start` of the first dimension, and returns when nothing more is written.

    zarr writes tiles side by side and goes on with the others when one fails or the user
    interrupts; what is removed then would come back. So: one tile per call, in a thread that is
    waited for.
    """
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(_assign_tiles, array, start, values).result()


def _assign_tiles(array, start: int, values: np.ndarray) -> None:
    tile = array.shards or array.chunks
    pieces = [range(0, size, step) for size, step in zip(values.shape, tile, strict=True)]
    for corner in itertools.product(*pieces):
        ends = [min(c + t, n) for c, t, n in zip(corner, tile, values.shape, strict=True)]
        first, *others = itertools.starmap(slice, zip(corner, ends, strict=True))
        target = slice(start + first.start, start + first.stop)
        array[(target, *others)] = values[(first, *others)]
