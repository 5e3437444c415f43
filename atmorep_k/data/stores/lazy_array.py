"""Arrays that xarray can hold without reading them."""

import numpy as np
from xarray.backends import BackendArray
from xarray.core import indexing


class LazyArray(BackendArray):
    """Values that are read when they are used; a subclass says how.

    Args:
        shape: their shape.
    """

    def __init__(self, shape: tuple[int, ...]):
        self.shape, self.dtype = shape, np.dtype(np.float32)

    def lazy(self):
        """Returns what xarray takes for values, and reads when they are used."""
        return indexing.LazilyIndexedArray(self)

    def __getitem__(self, key):
        support = indexing.IndexingSupport.BASIC
        return indexing.explicit_indexing_adapter(key, self.shape, support, self._read)

    def _read(self, key: tuple) -> np.ndarray:
        """Returns the values at a key of integers and slices, of which some may go backwards."""
        raise NotImplementedError
