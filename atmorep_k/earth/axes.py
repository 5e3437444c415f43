"""The axes of a source brought to the store's order: north to south, unbroken from west to east."""

import numpy as np

from atmorep_k.errors import UserError

_ERA5_PRESSURES = (
    *(1, 2, 3, 5, 7, 10, 20, 30, 50, 70),
    *(100, 125, 150, 175, 200, 225, 250, 300, 350, 400, 450, 500, 550, 600, 650, 700),
    *(750, 775, 800, 825, 850, 875, 900, 925, 950, 975, 1000),
)
_LAST_MODEL_LEVEL = 137
_BROKEN = 1.5


def degrees(values: np.ndarray) -> np.ndarray:
    """Returns coordinates as float64 without the noise of their float32 or computed digits."""
    values = np.asarray(values)
    return np.round(values.astype(np.float64), 4 if values.dtype == np.float32 else 8)


def order_latitude(values: np.ndarray, source: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns latitudes from north to south, and the index that brings a source's rows there.

    Raises:
        UserError: if a latitude occurs twice or rows are missing between others.
    """
    values = degrees(values)
    order = np.argsort(-values)
    values = values[order]
    _check_unbroken("latitudes", -np.diff(values), source)
    return values, order


def order_longitude(values: np.ndarray, source: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns longitudes ascending and unbroken, and the index that brings columns there.

    Round the globe they run from 0 to 360; a region starts between -180 and 180, wherever the
    source cuts the circle. A first longitude that is repeated at the end is left out.

    Raises:
        UserError: if columns are missing between others.
    """
    east, order = np.unique(degrees(np.mod(degrees(values), 360.0)) % 360.0, return_index=True)
    if len(east) == 1:
        return (east + 180.0) % 360.0 - 180.0, order
    gaps = np.diff(east, append=east[0] + 360.0)
    widest = int(np.argmax(gaps))
    if gaps[widest] > _BROKEN * np.median(gaps) or len(east) == 2:
        start = (widest + 1) % len(east)
        east = np.concatenate([east[start:], east[:start] + 360.0])
        order = np.roll(order, -start)
        east = degrees(east - 360.0 if east[0] >= 180.0 else east)
    _check_unbroken("longitudes", np.diff(east), source)
    return east, order


def _check_unbroken(what: str, steps: np.ndarray, source: str) -> None:
    if np.any(steps <= 0):
        raise UserError(f"{source}: {what} occur twice.")
    if len(steps) and steps.max() > _BROKEN * np.median(steps):
        raise UserError(
            f"{source}: {what} have a gap of {steps.max():g} degrees in steps of "
            f"{np.median(steps):g}."
        )


def pick(values: np.ndarray, order: np.ndarray, axis: int) -> np.ndarray:
    """Returns `values` with an axis in another order; without a copy where that is possible."""
    if len(order) == values.shape[axis]:
        where = [slice(None)] * values.ndim
        if np.array_equal(order, np.arange(len(order))):
            return values
        if np.array_equal(order, np.arange(len(order))[::-1]):
            where[axis] = slice(None, None, -1)
            return values[tuple(where)]
    return np.take(values, order, axis=axis)


def as_slice(index: np.ndarray) -> slice | np.ndarray:
    """Returns an index of neighbours as a slice, which files are read faster with."""
    if len(index) and np.array_equal(index, np.arange(index[0], index[0] + len(index))):
        return slice(int(index[0]), int(index[0]) + len(index))
    return index


def level_type(name: str, units: str, words: str, values: np.ndarray) -> str:
    """Tells pressure levels from model levels: `"pressure"`, `"model"`, or empty if unknown.

    Args:
        name: name of the coordinate.
        units: its CF units.
        words: its standard and long name.
        values: its values; those without any hint are pressures if they are ERA5's.
    """
    words = f"{name} {words}".lower()
    if units in ("hPa", "Pa"):
        return "pressure"
    if units == "layer" or any(w in words for w in ("hybrid", "model", "layer", "eta")):
        return "model"
    if any(w in words for w in ("pressure", "isobaric", "plev")):
        return "pressure"
    standard = np.isin(values, _ERA5_PRESSURES)
    return "pressure" if standard.all() and np.max(values) > _LAST_MODEL_LEVEL else ""
