"""A variable that lies in its sources, as xarray can hold it without reading it."""

import numpy as np
from xarray.backends import BackendArray
from xarray.core import indexing

from atmorep_k.data.joining import Joined


class LinkedArray(BackendArray):
    """The values (time, [level,] lat, lon) of a variable of some sources.

    Args:
        joined: the variable.
        shape: its shape.
    """

    def __init__(self, joined: Joined, shape: tuple[int, ...]):
        self._joined, self.shape = joined, shape
        self.dtype = np.dtype(np.float32)

    def lazy(self):
        """Returns what xarray takes for values, and reads when they are used."""
        return indexing.LazilyIndexedArray(self)

    def __getitem__(self, key):
        support = indexing.IndexingSupport.BASIC
        return indexing.explicit_indexing_adapter(key, self.shape, support, self._read)

    def _read(self, key: tuple) -> np.ndarray:
        steps = np.arange(self.shape[0])[key[0]]
        if not np.size(steps):
            return np.empty(self.shape, self.dtype)[key]
        first = int(np.min(steps))
        values = self._joined.read(first, int(np.max(steps)) + 1)
        values = values if len(self.shape) == 4 else values[:, 0]
        return values[(steps - first, *key[1:])]
