"""Maps of what was scored: the first time of a prediction beside the truth."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from atmorep_k.data.opening import open_store
from atmorep_k.evaluation.predictions.matched_field import MatchedField
from atmorep_k.evaluation.predictions.matching import match, open_forecast
from atmorep_k.evaluation.truth import picture
from atmorep_k.figures.maps import coastlines_of, prediction_maps
from atmorep_k.inference.canvas import spread
from atmorep_k.reporting.picture import Picture

_POINTS = ("level", "latitude", "longitude")
_HOUR = np.timedelta64(1, "h")


def evaluation_maps(prediction: Path, truth: Path, fields: Sequence[str]) -> list[Picture]:
    """Returns a picture of each field: truth, mean, error, and spread where there is one.

    Shown is the first time whose truth is known, at its last lead time.

    Args:
        prediction: the file or directory that was scored.
        truth: the store.
        fields: their names.

    Raises:
        UserError: if prediction or store cannot be read, or no longer fit.
    """
    opened, store = open_forecast(prediction), open_store(truth)
    lines = coastlines_of([store])
    made = []
    for field in match(opened, store, fields):
        if (place := _shown(field)) is not None:
            shown = _compared(field, *place, opened.get(f"{field.name}_spread"))
            lead = field.leads[place[1]] / _HOUR
            figure = prediction_maps(shown, f"{lead:g} h after the time of the forecast", lines)
            name = field.name.replace("_", " ")
            alt = f"Maps of truth, prediction, error and spread: {name} after {lead:g} h"
            made.append(Picture.of_figure(figure, alt, is_map=True))
    return made


def _shown(field: MatchedField) -> tuple[int, int] | None:
    """Returns the number of a time and of a lead time at which truth and prediction are known."""
    for number, time in enumerate(field.values["time"].values):
        known = np.flatnonzero(np.isin(time + field.leads, field.store.time))
        for lead in known[::-1]:
            if field.values.isel(time=number, prediction_timedelta=lead).notnull().any():
                return number, int(lead)
    return None


def _compared(
    field: MatchedField, number: int, lead: int, deviation: xr.DataArray | None
) -> xr.Dataset:
    """Returns what `maps.prediction_maps` draws of a time and a lead time.

    Args:
        field: the field.
        number: index of the time.
        lead: index of the lead time.
        deviation: the spread, of a prediction that was written without its members.
    """
    where = {"time": number, "prediction_timedelta": lead}
    values = field.values.isel(where)
    members = values.expand_dims([d for d in ("number", "level") if d not in values.dims])
    members = members.transpose("number", *_POINTS)
    mean = members.mean("number").values
    if deviation is not None:
        deviation = deviation.isel(where).expand_dims([d for d in _POINTS if d not in values.dims])
        beside = deviation.transpose(*_POINTS).values
    else:
        single = members.sizes["number"] < 2
        beside = np.full_like(mean, np.nan) if single else spread(members.values)
    hidden = np.isfinite(mean)
    if field.hidden is not None:
        told = field.hidden.isel(where)
        told = told.expand_dims([d for d in _POINTS if d not in told.dims]).transpose(*_POINTS)
        hidden &= told.values.astype(bool)
    valid = values["time"].values + field.leads[lead]
    arrays = {
        "target": field.read(np.array([valid]))[0],
        "prediction": mean,
        "spread": np.where(hidden, beside, np.nan),
        "hidden": hidden,
    }
    arrays = {name: array[:, None] for name, array in arrays.items()}
    places = field.levels, [valid], values["latitude"].values, values["longitude"].values
    return picture(field.store, field.name, arrays, places, values.sizes.get("number"))
