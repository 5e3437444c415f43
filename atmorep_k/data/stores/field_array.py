"""One field of an array of several, as xarray can hold it without reading it."""

import numpy as np

from atmorep_k.data.stores.address import Place, open_array
from atmorep_k.data.stores.lazy_array import LazyArray


class FieldArray(LazyArray):
    """The values (time, [level,] lat, lon) of one field of an array (time, [field,] ...).

    Args:
        path: directory or address of the Zarr array.
        field: index of the field along the second axis; None where there is no such axis.
    """

    def __init__(self, path: Place, field: int | None):
        self._array = open_array(path)
        self._field = () if field is None else (field,)
        super().__init__((self._array.shape[0], *self._array.shape[1 + len(self._field) :]))

    def _read(self, key: tuple) -> np.ndarray:
        # Zarr takes no negative steps.
        forward = tuple(_forward(k, n) for k, n in zip(key, self.shape, strict=True))
        values = np.asarray(self._array[(forward[0], *self._field, *forward[1:])], self.dtype)
        kept = [k for k in key if isinstance(k, slice)]
        return values[tuple(slice(None, None, -1 if (k.step or 1) < 0 else 1) for k in kept)]


def _forward(key, size: int):
    if not isinstance(key, slice) or (key.step or 1) > 0:
        return key
    steps = range(*key.indices(size))
    return slice(steps[-1], steps[0] + 1, -key.step) if len(steps) else slice(0, 0)
