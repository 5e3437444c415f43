"""The interface of every store of training data, whatever its files look like."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from atmorep_k.data.stores.address import Location
from atmorep_k.data.stores.array_source import ArraySource
from atmorep_k.data.stores.layout import level_attributes
from atmorep_k.data.stores.packing import Packing
from atmorep_k.data.stores.statistics import StoredStatistics
from atmorep_k.earth.variables import VariableInfo
from atmorep_k.errors import unknown

if TYPE_CHECKING:
    import xarray as xr


@dataclasses.dataclass(frozen=True)
class Store:
    """A store opened for reading; values are read by `dataset()` or straight from its arrays.

    Args:
        path: the directory, or the address.
        time: `(time,)` datetime64[ns].
        level: `(level,)`; empty where every variable lies at the surface.
        latitude: `(latitude,)` degrees, from north to south.
        longitude: `(longitude,)` degrees, ascending.
        variables: name -> `VariableInfo`.
        attributes: the global attributes.
    """

    path: Location
    time: np.ndarray
    level: np.ndarray
    latitude: np.ndarray
    longitude: np.ndarray
    variables: dict[str, VariableInfo]
    attributes: dict[str, Any]

    @property
    def is_global(self) -> bool:
        """Whether the longitudes go round the globe."""
        return bool(self.attributes["is_global"])

    @property
    def resolution(self) -> tuple[float, float]:
        """Spacing in degrees, (latitude, longitude)."""
        return tuple(self.attributes["resolution"])

    @property
    def fingerprint(self) -> str:
        """SHA-256 over coordinates, statistics and attributes."""
        return self.attributes["fingerprint"]

    def levels_of(self, variable: str) -> np.ndarray:
        """Returns the levels of a variable; `[0]` at the surface.

        Raises:
            UserError: if the variable is not in the store.
        """
        if variable not in self.variables:
            raise unknown(f"variable in {self.path}", variable, self.variables)
        return self.level if self.variables[variable].has_level else np.zeros(1)

    def statistics(self, variable: str, levels: Sequence[int] | None = None) -> StoredStatistics:
        """Returns the monthly statistics of a variable; they are read when asked for.

        Args:
            variable: its name.
            levels: indices of levels; all if None. At the surface there is one, 0.

        Raises:
            UserError: if the variable is not in the store.
        """
        raise NotImplementedError

    def packing(self, variable: str) -> Packing | None:
        """Returns how the integers of a variable stand for values; None where it has none.

        Raises:
            UserError: if the variable is not in the store.
        """
        self.levels_of(variable)
        return None

    def source(self, variable: str) -> ArraySource:
        """Returns where the values of a variable lie.

        Raises:
            UserError: if the variable is not in the store.
        """
        raise NotImplementedError

    def dataset(self) -> "xr.Dataset":
        """Opens the store with xarray; nothing is read before it is used.

        Variables are `(time, [level,] latitude, longitude)` float32, NaN where values are missing.
        """
        raise NotImplementedError


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
