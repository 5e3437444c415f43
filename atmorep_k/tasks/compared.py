"""What is drawn of a prediction beside another one, and measured of it by area."""

from collections.abc import Mapping

import numpy as np
import xarray as xr

from atmorep_k.data.stores.base import Store
from atmorep_k.data.stores.statistics import area_weights
from atmorep_k.evaluation import truth

_LEAD = "prediction_timedelta"


def comparison_picture(
    one: xr.Dataset, field, store: Store, variables: Mapping[str, str], *, after: bool
) -> xr.Dataset:
    """Returns what `maps.prediction_maps` draws of one time: the middle one of the levels.

    Args:
        one: the prediction of one time.
        field: the `FieldSpec`.
        store: the store of the field.
        variables: `target`, `prediction` and `spread` -> the variables that are drawn as such; of
            members the mean.
        after: whether the time itself was visible, before all that is predicted.
    """
    level = field.middle_level
    before = np.zeros(int(after), "timedelta64[ns]")
    arrays = {n: _cube(one[variable], level, after) for n, variable in variables.items()}
    arrays["hidden"] = np.isfinite(arrays["spread"])
    times = one["time"].values + np.concatenate([before, one[_LEAD].values])
    places = ([level], times, one["latitude"].values, one["longitude"].values)
    return truth.picture(store, field.name, arrays, places, one.sizes.get("number"))


def _cube(values: xr.DataArray, level: float, after: bool) -> np.ndarray:
    """Returns (1, [1 +] lead, lat, lon), the mean of members where there are; NaN before them."""
    values = mean_of(values)
    if "level" in values.dims:
        values = values.sel(level=level)
    cube = values.transpose(_LEAD, "latitude", "longitude").values[None]
    return np.pad(cube, [(0, 0), (int(after), 0), (0, 0), (0, 0)], constant_values=np.nan)


def mean_of(values: xr.DataArray) -> xr.DataArray:
    """Returns the mean of the members in float64, or what has no members as it is."""
    return values.mean("number", dtype=np.float64) if "number" in values.dims else values


def area_of(latitude: xr.DataArray) -> xr.DataArray:
    """Returns the weight (latitude,) of points by area."""
    return latitude.copy(data=area_weights(latitude.values))
