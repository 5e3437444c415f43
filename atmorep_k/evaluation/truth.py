"""The truth: what a store has for the times and places of a prediction."""

from typing import TYPE_CHECKING, Any

import numpy as np

from atmorep_k.data.stores.base import Store
from atmorep_k.data.stores.layout import level_attributes

if TYPE_CHECKING:
    import xarray as xr

POINT_DIMS = ("level", "time", "latitude", "longitude")


def cube(store: Store, field, times: np.ndarray, rows: np.ndarray, columns: np.ndarray):
    """Return the values (level, time, lat, lon) float32; NaN at times that are not in the store.

    Args:
        store: the store.
        field: the `FieldSpec`.
        times: (time,) datetime64.
        rows: (lat,) indices of latitudes of the store.
        columns: (lon,) indices of longitudes of the store.
    """
    array = store.dataset()[field.name]
    if "level" not in array.dims:
        array = array.expand_dims("level", axis=1)
    else:
        array = array.isel(level=nearest_known(store.level, np.array(field.levels)))
    there = np.isin(times, store.time)
    index = np.searchsorted(store.time, times[there])
    shape = len(field.levels), len(times), len(rows), len(columns)
    values = np.full(shape, np.nan, np.float32)
    known = array.isel(time=index, latitude=rows, longitude=columns)
    values[:, there] = known.transpose(*POINT_DIMS).values
    return values


def beside(store: Store, field, prediction) -> "xr.DataArray":
    """Return what a store has for one time of a prediction; NaN where it has nothing.

    Args:
        store: the store.
        field: the `FieldSpec`.
        prediction: `<field>` without members: (time, prediction_timedelta, [level,] latitude,
            longitude), one time.

    Returns:
        An array like the prediction; NaN at levels that the field lacks.
    """
    latitude, longitude = (prediction[n].values for n in ("latitude", "longitude"))
    times = prediction["time"].values + prediction["prediction_timedelta"].values
    rows = nearest_known(store.latitude, latitude)
    columns = nearest_known(store.longitude, longitude, period=360.0)
    values = cube(store, field, times, rows, columns)
    if "level" not in prediction.dims:
        return prediction.copy(data=values[0][None])
    known = prediction.sel(level=list(field.levels)).copy(data=values.swapaxes(0, 1)[None])
    return known.reindex(level=prediction["level"])


def nearest_known(axis: np.ndarray, values: np.ndarray, period: float | None = None) -> np.ndarray:
    """Return the indices (value,) of the points of an axis that are nearest to values."""
    distance = np.abs(axis - values[:, None])
    if period:
        distance = np.minimum(distance % period, -distance % period)
    return distance.argmin(axis=1)


def labels(store: Store, name: str) -> dict[str, Any]:
    """Return the labels of a field: units, name in words, whether it is on levels."""
    info = store.variables[name]
    units = level_attributes(store.attributes.get("level_type", ""))["units"]
    return {
        "units": info.units,
        "long_name": info.long_name or name.replace("_", " "),
        "has_level": info.has_level,
        "level_units": "" if units == "1" else units,
    }


def picture(store: Store, name: str, arrays: dict[str, np.ndarray], places, number: int | None):
    """Return what `maps.prediction_maps` draws of a field, an `xarray.Dataset`.

    Args:
        store: the store of the field.
        name: the field.
        arrays: `target`, `prediction`, `spread` and `hidden`, each with `POINT_DIMS`.
        places: levels, times, latitudes and longitudes.
        number: members; None if it is not known.
    """
    import xarray as xr

    return xr.Dataset(
        {of: (POINT_DIMS, values) for of, values in arrays.items()},
        dict(zip(POINT_DIMS, places, strict=True)),
        labels(store, name) | {"number": number},
    )
