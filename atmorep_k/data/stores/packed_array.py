"""A packed variable, as xarray can hold it without reading it."""

import numpy as np

from atmorep_k.data.stores.address import Place
from atmorep_k.data.stores.field_array import FieldArray
from atmorep_k.data.stores.packing import MISSING, Packing


class PackedArray(FieldArray):
    """The values (time, [level,] lat, lon) float32 of an array of 16-bit integers.

    Args:
        path: directory or address of the Zarr array.
        packing: what the integers stand for.
    """

    def __init__(self, path: Place, packing: Packing):
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
