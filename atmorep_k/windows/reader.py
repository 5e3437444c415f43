"""Reads windows from a store with tensorstore, many at once and without waiting."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from atmorep_k.data.stores.address import Address, Location
from atmorep_k.data.stores.array_source import ArraySource
from atmorep_k.data.stores.base import Store
from atmorep_k.data.stores.packing import Packing
from atmorep_k.errors import UserError
from atmorep_k.windows import damage

# Decoded chunks are kept of a store that fits wholly, and where fields share chunks: of others,
# most would not be used again.
CACHE_BYTES = 128 * 2**20
# Through the network the index of each shard is kept, which would cost a request each time.
INDEX_BYTES = 32 * 2**20
REQUESTS = 64
_KINDS = ("http", "gcs", "s3")
# Windows asked for before the first is waited for, by whether they come through the network: enough
# to hide its latency; few from the disk, so that what is decoded stays in the processor's cache.
_IN_FLIGHT = {False: 2, True: 16}


class Reading(Protocol):
    """A window that is being read: a `Cube`, or a future of an array."""

    def result(self) -> np.ndarray:
        """Wait, and return `(level, time, lat, lon)`."""


class Cube:
    """A window being read.

    Args:
        values: `(level, time, lat, lon)`, being filled.
        parts: futures of its parts: one or, across the last longitude, two.
        failure: turns the exception of a future into the error for the user.
    """

    def __init__(self, values: np.ndarray, parts: list, failure: Callable[[Exception], UserError]):
        self._values = values
        self._parts = parts
        self._failure = failure

    def result(self) -> np.ndarray:
        """Waits, and returns `(level, time, lat, lon)` as stored, an array of its own.

        Raises:
            UserError: if the store is damaged; says where.
        """
        for part in self._parts:
            try:
                part.result()
            except ValueError as error:  # what tensorstore raises for any failure to read
                raise self._failure(error) from error
        return self._values


class Reader:
    """Open arrays of a store. Threads may share it; a forked process may not use it.

    Args:
        store: the open store.
        levels: variable -> indices of its levels to read, [0] at the surface.
        threads: how many copies tensorstore makes at once.

    `in_flight` says how many windows a thread should ask for before it waits for the first.

    Raises:
        UserError: if an array cannot be opened.
    """

    def __init__(self, store: Store, levels: Mapping[str, Sequence[int]], threads: int):
        import tensorstore

        self._store, self._tensorstore = store, tensorstore
        sources = {name: store.source(name) for name in levels}
        self.in_flight = _IN_FLIGHT[isinstance(store.path, Address)]
        context = tensorstore.Context(_options(store, sources, threads))
        # Fields that lie in one array share it, and with it what of a chunk is decoded.
        shared: dict[Location, Any] = {}
        for name, of in sources.items():
            shared[of.path] = shared.get(of.path) or self._opened(name, of, context)
        opened = {name: shared[of.path] for name, of in sources.items()}
        self._chunks = {n: a.chunk_layout.read_chunk.shape for n, a in opened.items()}
        self._packings = {n: _packing(store, n, levels[n]) for n in levels}
        self._arrays = {
            name: _view(opened[name], of, levels[name], self._packings[name] is not None)
            for name, of in sources.items()
        }

    def _opened(self, variable: str, source: ArraySource, context):
        try:
            return source.open(context)
        except ValueError as error:
            raise UserError(
                f"cannot open {variable!r} of {self._store.path}: {damage.reason(error)}."
            ) from error

    def packing(self, variable: str) -> Packing | None:
        """Returns how to turn the integers that are read into values; None if values are read."""
        return self._packings[variable]

    def bytes_of(self, variable: str, points: int) -> int:
        """Returns the bytes of a number of points at all levels that are read."""
        array = self._arrays[variable]
        return points * array.shape[0] * array.dtype.numpy_dtype.itemsize

    def read(self, variable: str, times: slice, rows: slice, column: int, size: int) -> Cube:
        """Starts to read a window of `size` columns from `column` on; does not wait.

        Columns beyond the last longitude are the first ones again.
        """
        array = self._arrays[variable]
        width = array.shape[-1]
        # Across the last longitude a window is read in two parts, into views of one array, so that
        # nothing is copied to join them.
        ranges = [slice(column, min(column + size, width))]
        if column + size > width:
            ranges.append(slice(0, column + size - width))
        shape = (array.shape[0], *(len(range(s.start, s.stop, s.step or 1)) for s in (times, rows)))
        values, end, parts = np.empty((*shape, size), array.dtype.numpy_dtype), 0, []
        for columns in ranges:
            begin, end = end, end + columns.stop - columns.start
            target = self._tensorstore.array(values[..., begin:end])
            parts.append(target.write(array[:, times, rows, columns]))

        # Which chunk is damaged is looked up only after a read has failed.
        def failure(error: Exception) -> UserError:
            chunk = self._chunks[variable]
            chunk = (chunk[0], *chunk[-2:])
            return damage.failure(error, self._store, variable, array, chunk, (times, rows, ranges))

        return Cube(values, parts, failure)


def _options(store: Store, sources: dict[str, ArraySource], threads: int) -> dict[str, Any]:
    """Returns how much tensorstore keeps and does at once."""
    points = len(store.time) * len(store.latitude) * len(store.longitude)
    values = 4 * points * sum(len(store.levels_of(name)) for name in sources)
    shared = any(of.field is not None for of in sources.values())
    cache = CACHE_BYTES if shared or values <= CACHE_BYTES else 0
    options = {"data_copy_concurrency": {"limit": max(1, threads)}}
    if isinstance(store.path, Address):
        cache = max(cache, INDEX_BYTES)
        options |= {f"{kind}_request_concurrency": {"limit": REQUESTS} for kind in _KINDS}
    return options | {"cache_pool": {"total_bytes_limit": cache}}


def _packing(store: Store, variable: str, levels: Sequence[int]) -> Packing | None:
    whole = store.packing(variable)
    index = list(levels)
    return whole and Packing(whole.scale[index], whole.offset[index])


def _view(array, source: ArraySource, levels: Sequence[int], packed: bool):
    """Returns the variable as (level, time, lat, lon) with the levels wanted.

    As it is stored where it is packed, else float32.
    """
    import tensorstore

    # Packed values stay integers until they are normalised: half the bytes to read and keep.
    if not packed and array.dtype != tensorstore.float32:
        array = tensorstore.cast(array, tensorstore.float32)
    if source.field is not None:
        array = array[:, source.field]
    if not source.has_level:
        return array[tensorstore.newaxis]
    levels = list(levels)
    # Neighbouring levels are a slice, as an index array makes tensorstore look up each level. A
    # slice keeps its origin, so it is moved to count from 0.
    if levels == list(range(levels[0], levels[0] + len(levels))):
        chosen = array[:, levels[0] : levels[0] + len(levels)].translate_to[0]
    else:
        chosen = array[:, levels]
    return chosen.transpose([1, 0, 2, 3])
