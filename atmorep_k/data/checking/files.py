"""Checks of the files of a store: against their checksums, lost ones, and work left unfinished."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from atmorep_k.data.checking.findings import Finding
from atmorep_k.data.checking.value_reader import Block, ValueReader
from atmorep_k.data.checking.values import Tile, Tiles
from atmorep_k.data.stores.base import Store
from atmorep_k.data.writing.appending import READY, STAGE
from atmorep_k.data.writing.executors import in_order
from atmorep_k.earth.times import iso
from atmorep_k.files import file_crc32c

_NAMED = 3


def unfinished(path: Path) -> list[Finding]:
    """Returns work on a store that was begun and not finished: beside it, or within."""
    words = "an unfinished store: {} was left by work that stopped early or is still running"
    beside = sorted(path.absolute().parent.glob(f"{path.name}.partial*"))
    found = [Finding("warning", "files", words.format(p.name)) for p in beside]
    if (path / STAGE).exists():  # the store is what it was
        found.append(Finding("warning", "files", words.format(STAGE)))
    if (path / READY).exists():
        found.append(Finding("error", "files", words.format(READY)))
    return found


class FileCheck:
    """Checks the files of one variable.

    Args:
        store: the open store.
        variable: its name.
        threads: files that are read at once.

    Attributes:
        lost: the tiles without a file, (time, lat, lon).

    Raises:
        ValueError: if the array cannot be opened.
    """

    def __init__(self, store: Store, variable: str, threads: int = 1):
        self._store, self._variable = store, variable
        self._reader = ValueReader(store, variable)
        self._threads = threads
        files = self._reader.source.files()
        self._files = {self._reader.tile_of(index): path for index, path in files.items()}
        self.lost: Tiles = {tile for tile, path in self._files.items() if not path.is_file()}
        self._checksums = _read_checksums(Path(store.path), variable)

    @property
    def has_checksums(self) -> bool:
        """Whether the store has checksums of the variable."""
        return self._checksums is not None

    @property
    def num_files(self) -> int:
        """Number of files that are there."""
        return len(self._files) - len(self.lost)

    @property
    def num_bytes(self) -> int:
        """Bytes that will be read."""
        present = [p for tile, p in self._files.items() if tile not in self.lost]
        return sum(p.stat().st_size for p in present) if self.has_checksums else 0

    def findings(self, progress: Callable[[int], None] = lambda number: None) -> list[Finding]:
        """Returns what is wrong with the files.

        Args:
            progress: called with the bytes that were read since its last call.
        """
        found = self._told(self.lost, "file(s) are missing and read as missing values")
        strangers = self._strangers()
        if strangers:
            words = f"file(s) do not belong to the array, such as {strangers[0]}"
            sentence = f"{len(strangers)} {words}"
            found.append(
                Finding("warning", "files", sentence, self._variable, count=len(strangers))
            )
        if self._checksums is None:
            return found
        if self._checksums.shape != self._numbers():
            sentence = (
                f"its checksums are for {self._checksums.shape} files in (time, lat, lon), the "
                f"array has {self._numbers()}"
            )
            return [*found, Finding("error", "files", sentence, self._variable)]
        return found + self._compare(self._checksums, progress)

    def _numbers(self) -> tuple[int, ...]:
        return tuple(1 + max(tile[axis] for tile in self._files) for axis in range(3))

    def _compare(self, sums: np.ndarray, progress: Callable[[int], None]) -> list[Finding]:
        present = [tile for tile in self._files if tile not in self.lost]
        damaged: list[Tile] = []
        unknown: list[Tile] = []
        with ThreadPoolExecutor(self._threads) as pool:
            for tile, value in in_order(pool, self._threads, self._checksum, present):
                progress(self._files[tile].stat().st_size)
                expected = int(sums[tile])
                if value != expected:
                    (damaged if expected else unknown).append(tile)
        return [
            *self._told(damaged, "file(s) do not match their checksum: they are damaged"),
            *self._told(unknown, "file(s) have no checksum"),
        ]

    def _checksum(self, tile: tuple[int, int, int]) -> tuple[tuple[int, int, int], int]:
        try:
            return tile, file_crc32c(self._files[tile])
        except OSError:
            return tile, -1

    def _strangers(self) -> list[str]:
        root, known = Path(self._reader.source.path), set(self._files.values())
        if self._reader.source.field is not None:
            return []  # the array belongs to other variables, too
        files = (p for p in root.rglob("*") if p.is_file() and p.name != "zarr.json")
        return sorted(str(p.relative_to(root)) for p in files if p not in known)

    def _told(self, tiles: Iterable[tuple[int, int, int]], words: str) -> list[Finding]:
        tiles = sorted(tiles)
        if not tiles:
            return []
        root = self._reader.source.path.parent
        names = ", ".join(str(self._files[tile].relative_to(root)) for tile in tiles[:_NAMED])
        more = ", ..." if len(tiles) > _NAMED else ""
        low, high = np.min(tiles, axis=0), np.max(tiles, axis=0) + 1
        sizes = (len(self._store.time), len(self._store.latitude), len(self._store.longitude))
        start = low * self._reader.tile
        stop = np.minimum(high * self._reader.tile, sizes)
        sentence = f"{len(tiles)} {words}: {names}{more}"
        where = self._where(Block(_place(start), _place(stop), (0, 0, 0)))
        return [Finding("error", "files", sentence, self._variable, count=len(tiles), **where)]

    def _where(self, box: Block) -> dict:
        (first, *low), (last, *high) = box.start, (n - 1 for n in box.stop)
        store = self._store
        return {
            "first": iso(store.time[first]),
            "last": iso(store.time[last]),
            "latitude": tuple(float(store.latitude[i]) for i in (low[0], high[0])),
            "longitude": tuple(float(store.longitude[i]) for i in (low[1], high[1])),
        }


def _place(index: np.ndarray) -> Tile:
    time, row, column = index.tolist()
    return time, row, column


def _read_checksums(path: Path, variable: str) -> np.ndarray | None:
    """Returns the checksums of a variable, (time, lat, lon) of its shards; None without any."""
    import zarr

    if not (path / "checksums" / variable).is_dir():
        return None
    return np.asarray(zarr.open_array(path / "checksums" / variable, mode="r")[:])
