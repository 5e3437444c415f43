"""The values of a store, read block by block for a check."""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator

import numpy as np

from atmorep_k.data.checking.findings import Finding
from atmorep_k.data.linked.store import LinkedStore
from atmorep_k.data.stores.base import Store
from atmorep_k.data.stores.packing import Packing

# A block of values is cut to whole chunks of so many bytes, or to one chunk where that is larger.
BLOCK_BYTES = 2**25


@dataclasses.dataclass(frozen=True)
class Block:
    """A part of a variable, all its levels.

    Args:
        start: index of its first point in (time, lat, lon).
        stop: index after its last point.
        tile: index of the tile (shard, or chunk without shards) in (time, lat, lon).
    """

    start: tuple[int, int, int]
    stop: tuple[int, int, int]
    tile: tuple[int, int, int]

    @property
    def corner(self) -> tuple[int, int, int, int]:
        """Index of its first point in (time, level, lat, lon)."""
        return (self.start[0], 0, *self.start[1:])

    def cut(self, size: tuple[int, int, int]) -> list["Block"]:
        """Returns it in parts of at most `size` points, in the order of time, lat, lon."""
        steps = (range(a, b, n) for a, b, n in zip(self.start, self.stop, size, strict=True))
        return [self._part(corner, size) for corner in itertools.product(*steps)]

    def _part(self, corner: Iterable[int], size: tuple[int, int, int]) -> "Block":
        time, row, column = corner
        last_time, last_row, last_column = self.stop
        stop = (
            min(time + size[0], last_time),
            min(row + size[1], last_row),
            min(column + size[2], last_column),
        )
        return Block((time, row, column), stop, self.tile)


class ValueReader:
    """The values of one variable of a store.

    Args:
        store: the open store.
        variable: its name.
        threads: how many blocks are read at once.

    Raises:
        ValueError: if the array cannot be opened.
    """

    def __init__(self, store: Store, variable: str, threads: int = 1):
        import tensorstore

        self.source, self.threads = store.source(variable), threads
        options = {"data_copy_concurrency": {"limit": threads}}
        self._array = self.source.open(tensorstore.Context(options))
        self._packing = Packing.of(self.source.attributes)
        self.shape = tuple(self._array.shape)
        layout = self._array.chunk_layout
        self.tile = self._in_space(layout.write_chunk.shape)
        self.chunk = self._in_space(layout.read_chunk.shape)
        self.levels = self.shape[-3] if self.source.has_level else 1

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """Number of values along (time, level, lat, lon)."""
        time, rows, columns = self._in_space(self.shape)
        return time, self.levels, rows, columns

    def _in_space(self, values) -> tuple[int, int, int]:
        return values[0], values[-2], values[-1]

    @property
    def num_bytes(self) -> int:
        """Bytes of all values as float32."""
        return 4 * int(np.prod(self.sizes, dtype=np.int64))

    def tile_of(self, index: tuple[int, ...]) -> tuple[int, int, int]:
        """Returns the index in (time, lat, lon) of a tile of the array."""
        return self._in_space(index)

    def rows(self) -> Iterator[list[Block]]:
        """Yields the blocks of one stretch of time after the other, each within one tile."""
        sizes = self._in_space(self.shape)
        size = self._block_size()
        for first in range(0, sizes[0], self.tile[0]):
            stop = min(first + self.tile[0], sizes[0])
            whole = Block((first, 0, 0), (stop, *sizes[1:]), (0, 0, 0))
            yield [
                part
                for tile in whole.cut(self.tile)
                for part in dataclasses.replace(tile, tile=self._number(tile.start)).cut(size)
            ]

    def _number(self, start: tuple[int, int, int]) -> tuple[int, int, int]:
        time, row, column = (i // n for i, n in zip(start, self.tile, strict=True))
        return time, row, column

    def _block_size(self) -> tuple[int, int, int]:
        """Returns a tile, cut into fewer rows and then columns of chunks until it is small."""
        size = list(self.tile)
        for axis in (1, 2):
            others = 4 * self.levels * int(np.prod(size)) // size[axis]
            wanted = max(1, BLOCK_BYTES // others // self.chunk[axis]) * self.chunk[axis]
            size[axis] = min(size[axis], wanted)
        time, rows, columns = size
        return time, rows, columns

    def read(self, block: Block) -> np.ndarray:
        """Returns the values (time, level, lat, lon) of a block, float32, NaN where missing.

        Raises:
            ValueError: if a chunk cannot be decoded.
        """
        time, *place = itertools.starmap(slice, zip(block.start, block.stop, strict=True))
        field = () if self.source.field is None else (self.source.field,)
        level = (slice(None),) if self.source.has_level else ()
        stored = self._array[(time, *field, *level, *place)].read(order="C").result()
        if not self.source.has_level:
            stored = stored[:, None]
        if self._packing is not None:
            return self._packing.unpack(stored)
        return stored.astype(np.float32, copy=False)


class LinkedValues(ValueReader):
    """The values of one variable of a linked store, in blocks of whole time steps.

    Args:
        store: the open store.
        variable: its name.
        threads: how many blocks are read at once.
    """

    def __init__(self, store: LinkedStore, variable: str, threads: int = 1):
        self.threads, self._joined = threads, store.joined[variable]
        self.levels = len(store.levels_of(variable))
        grid = (len(store.latitude), len(store.longitude))
        self.shape = (len(store.time), self.levels, *grid)
        steps = max(1, BLOCK_BYTES // (4 * self.levels * int(np.prod(grid))))
        self.tile = self.chunk = (steps, *grid)

    def read(self, block: Block) -> np.ndarray:
        """Returns the values (time, level, lat, lon) of a block, float32."""
        return self._joined.read(block.start[0], block.stop[0])


def values_of(store: Store, variable: str, threads: int = 1) -> ValueReader:
    """Returns what reads a variable of any store, wherever its values lie.

    Raises:
        ValueError: if they cannot be opened.
    """
    if isinstance(store, LinkedStore):
        return LinkedValues(store, variable, threads)
    return ValueReader(store, variable, threads)


class LinkedFiles:
    """Stands for the files of a variable that lies in its sources: a store knows no more of them.

    Args:
        store: the open store.
        variable: its name.
        threads: not used.
    """

    has_checksums, num_files, num_bytes = False, 0, 0

    def __init__(self, store: LinkedStore, variable: str, threads: int = 1):
        self.lost: set[tuple[int, int, int]] = set()

    def findings(self, progress=None) -> list[Finding]:
        """Returns nothing."""
        return []
