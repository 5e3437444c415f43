"""Reads windows from stores whose values stay in their sources."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from atmorep_k.data.linked.store import LinkedStore

# Whole time steps are read, of which a part is kept: up to so many bytes of them at once.
_READ_BYTES = 2**26


class LinkedReader:
    """Reads whole time steps of the sources and keeps the part that is wanted.

    `in_flight`: see `Reader`.

    Args:
        store: the open store.
        levels: variable -> indices of its levels to read, [0] at the surface.
        threads: how many windows are read at once.

    Raises:
        UserError: if a source is not what it was.
    """

    in_flight = 2

    def __init__(self, store: LinkedStore, levels: Mapping[str, Sequence[int]], threads: int):
        self._store, self._levels = store, {name: list(of) for name, of in levels.items()}
        self._grid = len(store.latitude), len(store.longitude)
        self._pool = ThreadPoolExecutor(max(1, threads), thread_name_prefix="atmorep_k-sources")
        _ = store.joined

    def packing(self, variable: str) -> None:
        """Returns None: values are read as they are."""

    def bytes_of(self, variable: str, points: int) -> int:
        """Returns the bytes of a number of points at all levels that are read."""
        return 4 * points * len(self._levels[variable])

    def read(
        self, variable: str, times: slice, rows: slice, column: int, size: int
    ) -> "Future[np.ndarray]":
        """Starts to read a window of `size` columns from `column` on; does not wait.

        Columns beyond the last longitude are the first ones again. `.result()` gives
        `(level, time, lat, lon)` float32.
        """
        columns = (column + np.arange(size)) % self._grid[1]
        return self._pool.submit(self._read, variable, times, rows, columns)

    def _read(self, variable: str, times: slice, rows: slice, columns: np.ndarray) -> np.ndarray:
        levels, stride = self._levels[variable], times.step or 1
        shape = (len(levels), len(range(times.start, times.stop, stride)))
        values = np.empty((*shape, rows.stop - rows.start, len(columns)), np.float32)
        step = 4 * len(self._store.levels_of(variable)) * int(np.prod(self._grid))
        chunk = self._store.joined[variable].time_chunk
        at_once = max(1, _READ_BYTES // step, min(chunk, times.stop - times.start)) // stride or 1
        for first in range(0, shape[1], at_once):
            begin = times.start + first * stride
            stop = min(times.stop, begin + (at_once - 1) * stride + 1)
            part = self._store.read(variable, slice(begin, stop, stride))[:, levels, rows]
            values[:, first : first + len(part)] = part[..., columns].swapaxes(0, 1)
        return values
