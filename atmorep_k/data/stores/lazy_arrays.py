"""Stored values as xarray holds them: read when they are used."""

from typing import TYPE_CHECKING

import numpy as np
from xarray.backends import BackendArray

from atmorep_k.backend.internals.xarray import lazily, read_by_slices
from atmorep_k.data.stores.address import Location, open_array
from atmorep_k.data.stores.packing import MISSING, Packing

if TYPE_CHECKING:
    pass


class LazyArray(BackendArray):
    """Values that are read when they are used; a subclass says how.

    Args:
        shape: their shape.
    """

    def __init__(self, shape: tuple[int, ...]):
        self.shape, self.dtype = shape, np.dtype(np.float32)

    def lazy(self):
        """Returns what xarray takes for values, and reads when they are used."""
        return lazily(self)

    def __getitem__(self, key):
        return read_by_slices(key, self.shape, self._read)

    def _read(self, key: tuple) -> np.ndarray:
        """Returns the values at a key of integers and slices, of which some may go backwards."""
        raise NotImplementedError


class FieldArray(LazyArray):
    """The values (time, [level,] lat, lon) of one field of an array (time, [field,] ...).

    Args:
        path: directory or address of the Zarr array.
        field: index of the field along the second axis; None where there is no such axis.
    """

    def __init__(self, path: Location, field: int | None):
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


class PackedArray(FieldArray):
    """The values (time, [level,] lat, lon) float32 of an array of 16-bit integers.

    Args:
        path: directory or address of the Zarr array.
        packing: what the integers stand for.
    """

    def __init__(self, path: Location, packing: Packing):
        super().__init__(path, None)
        self._packing = packing

    def _read(self, key: tuple) -> np.ndarray:
        stored = super()._read(key)  # as float32, which holds them exactly
        level = key[1] if len(key) == 4 else 0
        scale, offset = self._packing.scale[level], self._packing.offset[level]
        if np.ndim(scale):
            # The level is the axis after time, or the first where one time was asked for.
            after = stored.ndim - isinstance(key[0], slice) - 1
            scale, offset = (a.reshape(-1, *(1,) * after) for a in (scale, offset))
        values = (stored * scale + offset).astype(np.float32)
        return np.where(stored == MISSING, np.float32(np.nan), values)
