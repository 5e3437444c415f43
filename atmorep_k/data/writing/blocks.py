"""Writing a block of a store: one variable, some whole time shards, in bounded memory."""

import contextlib
import dataclasses
import itertools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from atmorep_k.data.stores.layout import StoreDescription
from atmorep_k.data.stores.packing import Packing
from atmorep_k.data.stores.statistics import Moments, months_of
from atmorep_k.data.writing.memory import give_back
from atmorep_k.data.writing.monthly_statistics import MonthlyStatistics
from atmorep_k.data.writing.shards import ShardWriter
from atmorep_k.errors import UserError

# read(start, stop) -> values (time, level, lat, lon) float32 of these steps of the record
Read = Callable[[int, int], np.ndarray]
Tile = tuple[slice, slice]


@dataclasses.dataclass(frozen=True)
class BlockWriter:
    """Writes blocks of one variable; any process may, as long as each has a block of its own.

    Args:
        name: the variable.
        array: directory of its Zarr array; None where values stay in their sources.
        time: `(time,)` datetime64 of the record.
        shape: grid (level, lat, lon).
        shard: rows and columns of a shard.
        has_level: whether the array has an axis of levels.
        packing: how values become integers; None keeps float32.
        statistics: where the moments of blocks go.
        scratch: directory for values that do not fit the memory.
        threads: how many chunks are compressed at once.
    """

    name: str
    array: Path | None
    time: np.ndarray
    shape: tuple[int, int, int]
    shard: tuple[int, int]
    has_level: bool
    packing: Packing | None
    statistics: MonthlyStatistics
    scratch: Path
    threads: int = 1

    @classmethod
    def of(
        cls,
        name: str,
        store: Path,
        description: StoreDescription,
        packing: Packing | None,
        scratch: Path,
        threads: int = 1,
    ) -> "BlockWriter":
        """Returns the writer of a variable of the store at a path that has its skeleton."""
        d = description
        shape = (d.levels_of(name), len(d.latitude), len(d.longitude))
        *_, rows, columns = d.tiles(name)[1]
        return cls(
            name=name,
            array=None if d.links else store / name,
            time=d.time,
            shape=shape,
            shard=(rows, columns),
            has_level=d.variables[name].has_level,
            packing=packing,
            statistics=MonthlyStatistics(shape, d.latitude, scratch, name),
            scratch=scratch,
            threads=threads,
        )

    def tiles(self) -> list[list[Tile]]:
        """Returns rows and columns of the shards, (lat shard, lon shard)."""
        rows, columns = (
            [slice(i, min(i + step, size)) for i in range(0, size, step)]
            for size, step in zip(self.shape[1:], self.shard, strict=True)
        )
        return [[(r, c) for c in columns] for r in rows]

    def write(
        self,
        number: int,
        start: int,
        stop: int,
        read: Read,
        *,
        steps: int,
        in_memory: bool,
        known: int = 0,
    ) -> np.ndarray:
        """Writes a block, and its moments for `statistics` to merge.

        Args:
            number: the number of the block.
            start: first time step, where a shard begins.
            stop: time step after the last.
            read: gives the values.
            steps: time steps to ask it for at once.
            in_memory: whether the values wait in memory for their shard, or on the disk.
            known: time steps at the beginning that the statistics have already.

        Returns:
            CRC-32C of the shards' files, `(time shard, lat shard, lon shard)` uint32; no time shard
            where values stay in their sources.

        Raises:
            UserError: if a value is missing, of another shape or cannot be packed.
            OSError: if the disk is full or the place cannot be written.
        """
        months = months_of(self.time[start:stop])
        months[:known] = -1
        parts = {int(m): self.statistics.part(number, int(m)) for m in np.unique(months) if m >= 0}
        for month, part in parts.items():
            part.create(int((months == month).sum()))
        tiles = self.tiles()
        flat = list(itertools.chain.from_iterable(tiles))
        writer = self.array and ShardWriter(self.array, self.has_level, self.threads)
        checksums = []
        with self._waiting(flat, stop - start, in_memory) as waiting:
            for first in range(start, stop, steps):
                values = self._checked(read, first, min(first + steps, stop))
                for tile, (rows, columns) in zip(waiting, flat, strict=True):
                    tile.add(values[:, :, rows, columns])
                del values
            for tile, (rows, columns) in zip(waiting, flat, strict=True):
                values = tile.take()
                stored = self.packing.pack(values) if self.packing else values
                if writer:
                    checksums.append(writer.write(start, rows, columns, stored))
                values = self.packing.unpack(stored) if self.packing else values
                self._put_moments(values, months, parts, rows, columns)
                del values, stored
                give_back()
        return np.array(checksums).T.reshape(-1, len(tiles), len(tiles[0]))

    def merge(self, number: int, start: int, stop: int) -> None:
        """Adds a written block to the statistics; blocks must come in ascending order."""
        months = np.unique(months_of(self.time[start:stop]))
        self.statistics.merge(
            number, {int(m): self.statistics.part(number, int(m)) for m in months}
        )

    def _put_moments(self, values, months, parts, rows: slice, columns: slice) -> None:
        for month, part in parts.items():
            (where,) = np.nonzero(months == month)
            moments = Moments.zero(values.shape[1:])
            moments.add(values[where[0] : where[-1] + 1] if _unbroken(where) else values[where])
            part.put(rows, columns, moments)

    def _checked(self, read: Read, first: int, stop: int) -> np.ndarray:
        values = np.asarray(read(first, stop), np.float32)
        if values.shape != (stop - first, *self.shape):
            raise UserError(
                f"a block of {self.name!r} has shape {values.shape}, not (time, level, latitude, "
                f"longitude) = {(stop - first, *self.shape)}."
            )
        check_finite(self.name, values, self.time[first:stop])
        return values

    @contextlib.contextmanager
    def _waiting(self, tiles: list[Tile], steps: int, in_memory: bool) -> Iterator[list]:
        """Yields a buffer for each tile: `add` takes steps of time, `take` returns them all."""
        shapes = [
            (steps, self.shape[0], rows.stop - rows.start, columns.stop - columns.start)
            for rows, columns in tiles
        ]
        if in_memory:
            yield [_InMemory(shape) for shape in shapes]
            return
        with tempfile.TemporaryDirectory(prefix="values-", dir=self.scratch) as folder:
            yield [_OnDisk(shape, Path(folder) / str(n)) for n, shape in enumerate(shapes)]


def check_finite(name: str, values: np.ndarray, times: np.ndarray) -> None:
    """Checks that no value (time, level, lat, lon) is missing.

    Raises:
        UserError: if one is NaN or infinite; names the variable and the time.
    """
    # The sum of a step is finite only if all its values are: cheaper than a mask of them.
    with np.errstate(invalid="ignore", over="ignore"):
        sums = values.sum(axis=(1, 2, 3), dtype=np.float64)
    if not np.all(np.isfinite(sums)):
        when = times[int(np.argmin(np.isfinite(sums)))]
        raise UserError(
            f"variable {name!r} has missing or infinite values, first at "
            f"{np.datetime_as_string(when, 'm')}; fill them, or leave the variable out."
        )


def _unbroken(where: np.ndarray) -> bool:
    return int(where[-1] - where[0]) == len(where) - 1


class _InMemory:
    def __init__(self, shape: tuple[int, ...]):
        self._values: np.ndarray = np.empty(shape, np.float32)
        self._end = 0

    def add(self, values: np.ndarray) -> None:
        self._values[self._end : self._end + len(values)] = values
        self._end += len(values)

    def take(self) -> np.ndarray:
        values, self._values = self._values, np.empty(0, np.float32)
        return values


class _OnDisk:
    def __init__(self, shape: tuple[int, ...], path: Path):
        self._shape, self._path = shape, path

    def add(self, values: np.ndarray) -> None:
        with self._path.open("ab") as file:
            np.ascontiguousarray(values).tofile(file)

    def take(self) -> np.ndarray:
        values = np.fromfile(self._path, np.float32).reshape(self._shape)
        self._path.unlink()
        return values
