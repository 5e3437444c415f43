"""Reads windows from a store with tensorstore, many at once and without waiting."""

from collections.abc import Sequence

import numpy as np

from atmorep_k.data.array_source import ArraySource
from atmorep_k.data.store import Store
from atmorep_k.errors import UserError

# Decoded chunks kept: enough for the index of shards, and for much of a small store.
CACHE_BYTES = 128 * 2**20


class Cube:
    """A window being read: one or, across the last longitude, two parts.

    Args:
        parts: futures of the parts, from west to east.
        source: what is being read, for the message of a failure.
    """

    def __init__(self, parts: list, source: str):
        self._parts = parts
        self._source = source

    def result(self) -> np.ndarray:
        """Waits, and returns `(level, time, lat, lon)` float32, an array of its own.

        Raises:
            UserError: where the store is damaged.
        """
        arrays = [_wait(part, self._source) for part in self._parts]
        return arrays[0] if len(arrays) == 1 else np.concatenate(arrays, axis=-1)


class Reader:
    """Open arrays of a store. Threads may share it; a forked process may not use it.

    Args:
        store: the open store.
        levels: variable -> indices of its levels to read, [0] at the surface.
        threads: how many copies tensorstore makes at once.

    Raises:
        UserError: where an array cannot be opened.
    """

    def __init__(self, store: Store, levels: dict[str, Sequence[int]], threads: int):
        import tensorstore

        context = tensorstore.Context(
            {
                "cache_pool": {"total_bytes_limit": CACHE_BYTES},
                "data_copy_concurrency": {"limit": max(1, threads)},
            }
        )
        self._sources = {name: f"{name!r} of {store.path}" for name in levels}
        sources = {name: store.source(name) for name in levels}
        # Fields that lie in one array share it, and with it what of a chunk is decoded.
        opening = {of.path: _open(of, context) for of in sources.values()}
        self._arrays = {
            name: _view(_wait(opening[of.path], self._sources[name]), of, levels[name])
            for name, of in sources.items()
        }

    def read(self, variable: str, times: slice, rows: slice, column: int, size: int) -> Cube:
        """Starts to read a window of `size` columns from `column` on; does not wait.

        Columns beyond the last longitude are the first ones again.
        """
        array = self._arrays[variable]
        width = array.shape[-1]
        ranges = [slice(column, min(column + size, width))]
        if column + size > width:
            ranges.append(slice(0, column + size - width))
        parts = [array[:, times, rows, columns].read(order="C") for columns in ranges]
        return Cube(parts, self._sources[variable])


def _open(source: ArraySource, context):
    import tensorstore

    kvstore = {"driver": "file", "path": str(source.path.absolute()) + "/"}
    spec = {"driver": source.driver, "kvstore": kvstore, "recheck_cached_data": "open"}
    return tensorstore.open(spec, read=True, open=True, context=context)


def _wait(future, source: str):
    try:
        return future.result()
    except ValueError as error:  # what tensorstore raises for any failure to read
        reason = str(error).split(" [")[0]  # without the whole specification of the array
        raise UserError(f"cannot read {source}: {reason}.") from error


def _view(array, source: ArraySource, levels: Sequence[int]):
    """Returns the variable as (level, time, lat, lon) float32 with the levels wanted."""
    import tensorstore

    if array.dtype != tensorstore.float32:
        array = tensorstore.cast(array, tensorstore.float32)
    if source.field is not None:
        array = array[:, source.field]
    if not source.has_level:
        return array[tensorstore.newaxis]
    levels = list(levels)
    if levels == list(range(levels[0], levels[0] + len(levels))):
        chosen = array[:, levels[0] : levels[0] + len(levels)].translate_to[0]
    else:
        chosen = array[:, levels]
    return chosen.transpose([1, 0, 2, 3])
