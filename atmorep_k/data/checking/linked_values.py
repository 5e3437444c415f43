"""Reading every value of a variable that lies in its sources, some time steps at once."""

import numpy as np

from atmorep_k.data.checking.value_reader import BLOCK_BYTES, Block, ValueReader
from atmorep_k.data.linked.store import LinkedStore
from atmorep_k.data.stores.base import Store


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
        ValueError: where they cannot be opened.
    """
    kind = LinkedValues if isinstance(store, LinkedStore) else ValueReader
    return kind(store, variable, threads)


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

    def findings(self, progress=None) -> list:
        """Returns nothing."""
        return []
