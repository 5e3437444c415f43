"""A module of xarray that is documented for those who add a backend, and not public."""

from collections.abc import Callable
from typing import Any

import numpy as np
from xarray.core import indexing

# https://docs.xarray.dev/en/stable/internals/how-to-add-new-backend.html


def lazily(array: Any) -> Any:
    """Return what xarray takes for values and reads when they are used."""
    return indexing.LazilyIndexedArray(array)


def read_by_slices(key: Any, shape: tuple[int, ...], read: Callable[[tuple], np.ndarray]) -> Any:
    """Return the values at a key of xarray's, given what reads at integers and slices."""
    return indexing.explicit_indexing_adapter(key, shape, indexing.IndexingSupport.BASIC, read)
