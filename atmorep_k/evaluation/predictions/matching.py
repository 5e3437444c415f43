"""The points of a prediction located in a store; what does not fit is reported before any work."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from atmorep_k.data.stores.base import Store
from atmorep_k.earth.units import cf_units
from atmorep_k.errors import UserError, nearest, unknown
from atmorep_k.evaluation.predictions.matched_field import MatchedField
from atmorep_k.evaluation.truth import nearest_known as nearest_index
from atmorep_k.inference.output import ENDINGS, open_prediction

# What a prediction may hold besides a field, called `<field>_<what>`.
_BESIDE = ("spread", "hidden", "input", "difference")
_NEEDED = ("time", "prediction_timedelta", "latitude", "longitude")
_ALLOWED = (*_NEEDED, "number", "level")
# Grid points closer than this, in degrees, are the same: float32 rounds by as much.
_TOLERANCE = 1e-3


def open_forecast(prediction: str | Path | xr.Dataset) -> xr.Dataset:
    """Return a prediction with its dimensions checked and `prediction_timedelta` as a time span.

    Raises:
        UserError: if it cannot be opened, or is not a forecast.
    """
    name = "the prediction"
    if not isinstance(prediction, xr.Dataset):
        name, prediction = str(prediction), _open(Path(prediction))
    if "realization" in prediction.dims:  # the members of WeatherBench 2's own files
        prediction = prediction.rename(realization="number")
    for dim in ("time", "prediction_timedelta"):
        if dim in prediction.coords and dim not in prediction.dims:
            prediction = prediction.expand_dims(dim)
    lacking = [dim for dim in _NEEDED if dim not in prediction.dims or dim not in prediction.coords]
    if lacking:
        raise UserError(
            f"{name} is not a forecast: it needs the dimensions {', '.join(_NEEDED)} with their "
            f"coordinates, and lacks {', '.join(lacking)}."
        )
    prediction = _with_time_spans(prediction)
    if prediction["prediction_timedelta"].dtype.kind != "m":
        raise UserError(f"{name}: prediction_timedelta needs units of time, such as hours.")
    return prediction


def _with_time_spans(prediction: xr.Dataset) -> xr.Dataset:
    """Decode lead times that are numbers with units, as WeatherBench 2's own files have them."""
    leads = prediction["prediction_timedelta"]
    if leads.dtype.kind not in "iuf" or "units" not in leads.attrs:
        return prediction
    try:
        decoded = xr.decode_cf(leads.to_dataset(name="leads"), decode_timedelta=True)
    except ValueError:  # units that are not of time
        return prediction
    return prediction.assign_coords(prediction_timedelta=decoded["prediction_timedelta"])


def _open(path: Path) -> xr.Dataset:
    if path.suffix not in ENDINGS:
        raise UserError(f"{path} is not a prediction: its name must end in {' or '.join(ENDINGS)}.")
    if not path.exists():
        parent = path.absolute().parent
        names = [p.name for p in parent.iterdir()] if parent.is_dir() else []
        raise UserError(f"no prediction at {path}{nearest(path.name, names)}")
    try:
        opened = open_prediction(path)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path} cannot be read as a prediction: {error}") from error
    return opened


def match(
    prediction: xr.Dataset, store: Store, fields: Sequence[str] | None = None
) -> list[MatchedField]:
    """Return the fields of a prediction, each with its place in a store.

    Args:
        prediction: as `open_forecast` gives it.
        store: has the truth.
        fields: names; all of the prediction if None.

    Raises:
        UserError: if a field, its levels, units, grid or hours do not fit.
    """
    found = _fields(prediction)
    for name in fields or ():
        if name not in found:
            raise unknown("field of the prediction", name, found)
    names = list(dict.fromkeys(fields or found))
    if not names:
        raise UserError("the prediction has no field over time, latitude and longitude.")
    rows = _place(prediction, store, "latitude", None)
    columns = _place(prediction, store, "longitude", 360.0)
    _check_times(prediction, store)
    return [_field(prediction, name, store, rows, columns) for name in names]


def _fields(prediction: xr.Dataset) -> list[str]:
    """Return the names of the predicted fields, without their spread and the like."""
    found = [str(n) for n, v in prediction.data_vars.items() if set(_NEEDED) <= set(v.dims)]
    extra = {f"{name}_{what}" for name in found for what in _BESIDE}
    return [name for name in found if name not in extra]


def _place(prediction: xr.Dataset, store: Store, axis: str, period: float | None) -> np.ndarray:
    """Return the indices of rows or columns in the store."""
    values, known = prediction[axis].values, getattr(store, axis)
    index = nearest_index(known, values, period)
    distance = np.abs(known[index] - values)
    if period:
        distance = np.minimum(distance % period, -distance % period)
    if len(np.unique(index)) < len(index) and distance.max() <= _TOLERANCE:
        raise UserError(f"the prediction repeats a {axis}.")
    if distance.max() > _TOLERANCE:
        wrong = float(values[distance.argmax()])
        raise UserError(
            f"the {axis} {wrong:g} of the prediction is not on the grid of {store.path}, which has "
            f"{known[0]:g} to {known[-1]:g} in steps of {store.resolution[axis == 'longitude']:g}."
        )
    return index


def _check_times(prediction: xr.Dataset, store: Store) -> None:
    times = prediction["time"].values
    if len(np.unique(times)) < len(times):
        raise UserError("the prediction repeats a time.")
    valid = times[:, None] + prediction["prediction_timedelta"].values
    if not np.isin(valid, store.time).any():
        first, last = (np.datetime_as_string(t, "h") for t in (valid.min(), valid.max()))
        start, end = (np.datetime_as_string(t, "h") for t in store.time[[0, -1]])
        raise UserError(
            f"nothing can be scored: the prediction is for hours from {first} to {last}, and "
            f"{store.path} has {start} to {end}."
        )


def _field(prediction: xr.Dataset, name: str, store: Store, rows, columns) -> MatchedField:
    values = prediction[name].assign_attrs(task=prediction.attrs.get("task", ""))
    if name not in store.variables:
        raise unknown(f"field of {store.path}", name, store.variables)
    strange = [d for d in values.dims if d not in _ALLOWED]
    if strange:
        raise UserError(f"{name} has the dimension {strange[0]}; allowed: {', '.join(_ALLOWED)}.")
    given, wanted = (cf_units(u) for u in (values.attrs.get("units", ""), _units(store, name)))
    if given and wanted and given != wanted:
        raise UserError(f"{name} is in {given} in the prediction but in {wanted} in {store.path}.")
    levels = _levels(values, store)
    beside = (prediction.get(f"{name}_{what}") for what in ("hidden", "input"))
    return MatchedField(store, values, levels, rows, columns, *beside)


def _units(store: Store, name: str) -> str:
    return store.variables[name].units


def _levels(values: xr.DataArray, store: Store) -> np.ndarray:
    """Return the indices of levels in the store; `[0]` at the surface."""
    has_level = store.variables[str(values.name)].has_level
    if has_level != ("level" in values.dims):
        words = ("levels", "no levels")
        raise UserError(
            f"{values.name} has {words[has_level]} in the prediction but {words[not has_level]} in "
            f"{store.path}."
        )
    if not has_level:
        return np.zeros(1, np.int64)
    levels = values["level"].values.astype(np.float64)
    for level in levels:
        if level not in store.level:
            allowed = ", ".join(f"{n:g}" for n in store.level)
            raise UserError(
                f"{values.name} has the level {level:g} in the prediction, which {store.path} "
                f"lacks; it has {allowed}."
            )
    return nearest_index(store.level, levels)
