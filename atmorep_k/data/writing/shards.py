"""Writing shards of one variable, each read back before it counts as written."""

import errno
from pathlib import Path

import numpy as np

from atmorep_k.errors import UserError
from atmorep_k.files import file_crc32c

# Words in tensorstore's messages, and the error that each means.
_ERRORS = {"No space left": errno.ENOSPC, "Disk quota": errno.EDQUOT, "Permission": errno.EACCES}


class ShardWriter:
    """Writes whole shards of an array (time, [level,] lat, lon).

    Args:
        path: directory of the Zarr array.
        has_level: whether there is an axis of levels.
        threads: how many chunks are compressed at once.
    """

    def __init__(self, path: Path, has_level: bool, threads: int = 1):
        self.path, self._has_level, self._threads = path, has_level, threads
        self._array = self._open()
        self._shard = self._array.chunk_layout.write_chunk.shape

    def _open(self):
        import tensorstore

        # Nothing is cached, so that what is read back comes from the file.
        context = tensorstore.Context(
            {
                "cache_pool": {"total_bytes_limit": 0},
                "data_copy_concurrency": {"limit": self._threads},
            }
        )
        kvstore = {"driver": "file", "path": f"{self.path.absolute()}/"}
        spec = {"driver": "zarr3", "kvstore": kvstore}
        return _result(tensorstore.open(spec, open=True, context=context))

    def write(self, start: int, rows: slice, columns: slice, stored: np.ndarray) -> np.ndarray:
        """Writes shards and reads them back.

        Args:
            start: first time step, where a shard begins.
            rows: rows of one shard.
            columns: columns of one shard.
            stored: `(time, level, lat, lon)` as the array holds them.

        Returns:
            CRC-32C of the file of each shard, `(time shard,)` uint32.

        Raises:
            OSError: if the disk is full or the place cannot be written.
            UserError: if the values do not read back as written.
        """
        if not self._has_level:
            stored = stored[:, 0]
        between = (slice(None),) * (stored.ndim - 3)
        where = (slice(start, start + len(stored)), *between, rows, columns)
        _result(self._array[where].write(stored))
        self._check(self._open()[where], stored)
        corner = (*(0 for _ in between), rows.start // self._shard[-2])
        corner = (*corner, columns.start // self._shard[-1])
        first, step = start // self._shard[0], self._shard[0]
        numbers = range(first, first + -(-len(stored) // step))
        return np.array([self.checksum((number, *corner)) for number in numbers], np.uint32)

    def _check(self, array, stored: np.ndarray) -> None:
        steps = self._array.chunk_layout.read_chunk.shape[0]
        for first in range(0, len(stored), steps):
            part = stored[first : first + steps]
            begin = array.domain[0].inclusive_min + first
            if not np.array_equal(_result(array[begin : begin + len(part)].read()), part):
                raise UserError(
                    f"{self.path} does not read back as it was written; the disk may be damaged."
                )

    def checksum(self, shard: tuple[int, ...]) -> int:
        """Returns the CRC-32C of the file of a shard."""
        return file_crc32c(self.path / "c" / "/".join(map(str, shard)))


def _result(future):
    try:
        return future.result()
    except ValueError as error:  # what tensorstore raises for any failure
        for words, number in _ERRORS.items():
            if words in str(error):
                raise OSError(number, words) from error
        raise OSError(errno.EIO, str(error).split(" [")[0]) from error
