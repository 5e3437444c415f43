"""`evaluate`: scores of a prediction against a store, with those of baselines."""

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from atmorep_k.data.named import store_path
from atmorep_k.data.opening import open_store
from atmorep_k.data.sources.cutting import limits
from atmorep_k.data.stores.base import Store
from atmorep_k.data.stores.statistics import area_weights
from atmorep_k.earth.places import inside
from atmorep_k.errors import UserError, missing_extra
from atmorep_k.evaluation.predictions.field_scores import FieldScores
from atmorep_k.evaluation.predictions.matched_field import MatchedField
from atmorep_k.evaluation.predictions.matching import match, open_forecast

WHOLE = "all"


def evaluate(
    prediction: str | Path | xr.Dataset,
    truth: str | Path | Store,
    *,
    fields: Sequence[str] | None = None,
    regions: Sequence[Sequence[float]] = (),
    climatology: Sequence[str] | None = None,
    block: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> xr.Dataset:
    """Score a prediction and its baselines where a store has the truth.

    A point counts by its area if the truth, the prediction and all baselines have a value. One
    reference time of one field is in memory at a time, and some 30 + 4 M sums for each time, model,
    level, lead time and region, for M members.

    Args:
        prediction: dataset, or its path, with `time`, `prediction_timedelta`, `latitude`,
            `longitude` and, where they apply, `number` and `level`.
        truth: a store, its path, or `"demo"`.
        fields: names; all of the prediction if None.
        regions: (south, north, west, east) in degrees, besides the whole grid of the prediction.
        climatology: first and last day, month, year or time that the climatology averages over;
            the whole record of the store if None.
        block: consecutive reference times in a block of the bootstrap; the cube root of their
            number if None.
        progress: called with the number of reference times done, and of all.

    Returns:
        For each field `<field>` (score, model, level, prediction_timedelta, region); where there
        are times enough, the ends of the 95 % interval, `<field>_low` and `<field>_high`;
        `<field>_threshold` (event, level); of an ensemble `<field>_ranks` (level,
        prediction_timedelta, region, rank), the share of points; of a whole globe `<field>_spectra`
        (of, level, prediction_timedelta, wavenumber). A field at the surface has no `level`.

    Raises:
        UserError: if something does not fit (before work begins), or no point counts.
    """
    _check_options(block)
    opened = open_forecast(prediction)
    store = truth if isinstance(truth, Store) else open_store(store_path(str(truth)))
    matched = match(opened, store, fields)
    weights = _weights(matched[0], regions)
    times = _times(store, climatology)
    advance = _counter(progress, len(matched) * opened.sizes["time"])
    found = [_scored(FieldScores(field, weights, times), advance, block) for field in matched]
    whole = xr.merge(found, join="outer", compat="override", combine_attrs="override")
    return whole.assign_attrs(_attributes(prediction, opened, store, climatology))


def _scored(field: FieldScores, advance: Callable[[], None], block: int | None) -> xr.Dataset:
    """Add all reference times one by one, and return the scores."""
    for number in range(field.field.values.sizes["time"]):
        field.add(number)
        advance()
    if not len(field.times):
        scored = field.field
        raise UserError(
            f"nothing can be scored: at no point do {scored.name} of the prediction, its baselines "
            f"({', '.join(scored.models[1:])}) and {scored.store.path} all have a value."
        )
    return field.dataset(block)


def _counter(progress: Callable[[int, int], None] | None, total: int) -> Callable[[], None]:
    done = itertools.count(1)
    return lambda: progress(next(done), total) if progress else None


def _check_options(block: int | None) -> None:
    try:
        import scores  # noqa: F401
    except ImportError as error:
        raise missing_extra("scores", "score") from error
    if block is not None and block < 1:
        raise UserError(f"a block must have at least 1 time, not {block}.")


def _attributes(prediction, opened: xr.Dataset, store: Store, climatology) -> dict[str, str]:
    path = "" if isinstance(prediction, xr.Dataset) else str(prediction)
    times = climatology or [np.datetime_as_string(t, "h") for t in store.time[[0, -1]]]
    return {
        "prediction": path,
        "task": opened.attrs.get("task", ""),
        "source": opened.attrs.get("source", ""),
        "truth": str(store.path),
        "climatology": " to ".join(map(str, times)),
    }


def _weights(field: MatchedField, regions) -> dict[str, np.ndarray]:
    """Return region -> (lat, lon) weights of points, the whole grid first.

    Raises:
        UserError: if a region is not valid, or contains no point of the prediction.
    """
    latitude = field.store.latitude[field.rows]
    longitude = field.store.longitude[field.columns]
    area = area_weights(field.store.latitude)[field.rows][:, None]
    whole = np.broadcast_to(area, (len(latitude), len(longitude)))
    found = {WHOLE: whole}
    for region in regions:
        rows, columns, _ = inside(latitude, longitude, region)
        chosen = rows[:, None] & columns
        name = " ".join(f"{edge:g}" for edge in region)
        if not chosen.any():
            raise UserError(
                f"the region {name} contains no point of the prediction, which has latitudes from "
                f"{latitude.min():g} to {latitude.max():g} and longitudes from "
                f"{longitude.min():g} to {longitude.max():g}."
            )
        found[name] = whole * chosen
    return found


def _times(store: Store, period: Sequence[str] | None) -> np.ndarray:
    """Return the indices of the times of a store that lie in a period; all times without one."""
    if period is None:
        return np.arange(len(store.time))
    first, end = limits(period)
    chosen = np.flatnonzero((store.time >= first) & (store.time < end))
    if not len(chosen):
        start, last = (np.datetime_as_string(t, "h") for t in store.time[[0, -1]])
        raise UserError(
            f"{store.path} has no time from {period[0]} to {period[1]} for a climatology; it has "
            f"{start} to {last}."
        )
    return chosen
