"""A variable that lies in its sources, as xarray can hold it without reading it."""

import numpy as np

from atmorep_k.data.sources.joining import Joined
from atmorep_k.data.stores.lazy_arrays import LazyArray


class LinkedArray(LazyArray):
    """The values (time, [level,] lat, lon) of a variable of some sources.

    Args:
        joined: the variable.
        shape: its shape.
    """

    def __init__(self, joined: Joined, shape: tuple[int, ...]):
        super().__init__(shape)
        self._joined = joined

    def _read(self, key: tuple) -> np.ndarray:
        steps = np.arange(self.shape[0])[key[0]]
        if not np.size(steps):
            return np.empty((0, *self.shape[1:]), self.dtype)[(slice(None), *key[1:])]
        first = int(np.min(steps))
        values = self._joined.read(first, int(np.max(steps)) + 1)
        values = values if len(self.shape) == 4 else values[:, 0]
        return values[(steps - first, *key[1:])]
