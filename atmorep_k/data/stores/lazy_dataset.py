"""A store as an xarray data set whose values are read when they are used."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from atmorep_k.data.stores.base import Store
from atmorep_k.data.stores.layout import level_attributes

if TYPE_CHECKING:
    import xarray as xr


def lazy_dataset(store: Store, values: Mapping[str, Any]) -> "xr.Dataset":
    """Returns variables `(time, [level,] latitude, longitude)` of a store.

    Args:
        store: gives coordinates, names and units.
        values: name -> what xarray takes for values.
    """
    import xarray as xr

    coordinates = {
        "time": ("time", store.time),
        "latitude": ("latitude", store.latitude, {"units": "degrees_north"}),
        "longitude": ("longitude", store.longitude, {"units": "degrees_east"}),
    }
    if len(store.level):
        attributes = level_attributes(store.attributes["level_type"])
        coordinates["level"] = ("level", store.level, attributes)
    variables = {}
    for name, info in store.variables.items():
        level = ("level",) if info.has_level else ()
        dimensions = ("time", *level, "latitude", "longitude")
        attributes = {"units": info.units, "long_name": info.long_name}
        variables[name] = xr.Variable(dimensions, values[name], attributes)
    return xr.Dataset(variables, coordinates, store.attributes)
