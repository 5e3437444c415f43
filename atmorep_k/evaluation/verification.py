"""A prediction compared with what the store has for the same hours: scores, maps, a table."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from atmorep_k.console import new_table
from atmorep_k.data.stores.base import Store
from atmorep_k.data.stores.statistics import area_weights
from atmorep_k.evaluation import baselines, metrics
from atmorep_k.evaluation.case import Case
from atmorep_k.evaluation.sums import WEIGHT, Sums
from atmorep_k.evaluation.truth import cube, nearest_known, picture
from atmorep_k.fields import FieldSpec
from atmorep_k.figures import plots
from atmorep_k.figures.maps import coastlines_of
from atmorep_k.inference.canvas import spread
from atmorep_k.protocols import Model, Normalizer

MODELS = ("ensemble", "persistence")
_DIMS = ("level", "prediction_timedelta", "latitude", "longitude")
_NO_SCORES = {
    "infill": "no scores: missing values have no truth to compare with; --block masks known ones.",
    "": "no scores: the store does not cover the predicted hours.",
}


@dataclasses.dataclass(frozen=True)
class Verification:
    """Scores of a prediction where the store has the truth, and a picture of it.

    Args:
        task: `forecast`, `interpolate`, `reconstruct`, `infill` or `rollout`.
        scores: field -> `rmse` and `normalised_mse` (model, prediction_timedelta), means over
            area, levels and times; the attribute `units`; a field without truth is left out.
        total: field -> the same over all lead times, (model).
        pictures: field -> what `maps.prediction_maps` draws, of the first time.
        lines: coastlines.
        heading: of the pictures.
    """

    task: str
    scores: dict[str, xr.Dataset]
    total: dict[str, xr.Dataset]
    pictures: dict[str, xr.Dataset]
    lines: Sequence[np.ndarray]
    heading: str

    @property
    def remark(self) -> str:
        """Why the table is missing; empty if it is not."""
        return "" if self.scores else _NO_SCORES.get(self.task, _NO_SCORES[""])

    def table(self):
        """Return a `rich` table: all lead times and the last one, persistence beside it."""
        numbers = ("RMSE", "persistence", "normalised\nMSE", "persistence")
        table = new_table("Mean of the members against the store", ("field", "lead"), numbers)
        for field, scores in self.scores.items():
            last = scores.dropna("prediction_timedelta", how="all").isel(prediction_timedelta=-1)
            hours = last["prediction_timedelta"].values / np.timedelta64(1, "h")
            units = scores.attrs["units"]
            table.add_row(f"{field} ({units})", "all", *_cells(self.total[field]))
            if scores.sizes["prediction_timedelta"] > 1:
                table.add_row("", f"{hours:g} h", *_cells(last))
        return table

    def draw(self, directory: Path) -> list[Path]:
        """Draw `map_<task>_<field>.png` into a directory, made if need be; returns the paths."""
        return plots.draw_maps(self.pictures, self.task, directory, self.heading, self.lines)


def _cells(scores: xr.Dataset) -> list[str]:
    names = ("rmse", "normalised_mse")
    return [f"{float(scores[name].sel(model=model)):.3g}" for name in names for model in MODELS]


def verify(
    prediction: xr.Dataset,
    model: Model,
    store: Store | Mapping[str, Store],
    heading: str = "Prediction",
) -> Verification:
    """Compare a prediction with the store it was made from; one time is in memory at a time.

    Persistence is the last visible value before, else the first one after, and the mean that
    normalises the field if a point was never visible. Grid points count by area.

    Args:
        prediction: as `inference` gives it; predicted fields that are not in it are left out.
        model: the model that made it: its `predicted` fields and `normalizers`.
        store: the store, or the store of each field.
        heading: of the pictures.
    """
    scores, total, pictures = {}, {}, {}
    written = [f for f in model.predicted if f.name in prediction]
    stores = store if isinstance(store, Mapping) else {f.name: store for f in written}
    leads = prediction["prediction_timedelta"].values
    for field in written:
        store, normalizer = stores[field.name], model.normalizers[field.name]
        sums: dict[str, Sums] = {}
        for number in range(prediction.sizes["time"]):
            one = _OneTime(prediction.isel(time=number), field, normalizer, store)
            for name, of_time in one.sums().items():
                sums[name] = sums[name] + of_time if name in sums else of_time
            if not number:
                pictures[field.name] = one.picture()
        if sums and sums[MODELS[0]][WEIGHT].any():
            units = {"units": store.variables[field.name].units}
            scores[field.name] = _scores(sums, leads).assign_attrs(units)
            total[field.name] = _scores(sums).assign_attrs(units)
    lines = coastlines_of(stores[f.name] for f in written)
    return Verification(prediction.attrs["task"], scores, total, pictures, lines, heading)


def _scores(sums: dict[str, Sums], leads: np.ndarray | None = None) -> xr.Dataset:
    """Return the scores (model, prediction_timedelta), or (model) of all lead times together.

    Args:
        sums: model -> sums by level and lead time.
        leads: the lead times; None for all together.
    """
    axes = (0, 1) if leads is None else 0
    found = [
        metrics.scores_of(of_model.map(lambda total: total.sum(axis=axes)), metrics.VERIFICATION)
        for of_model in sums.values()
    ]
    coordinates: dict[str, Any] = {"model": list(sums)}
    if leads is not None:
        coordinates["prediction_timedelta"] = leads
    values = {name: [scores[name] for scores in found] for name in found[0]}
    return xr.Dataset({n: (list(coordinates), np.stack(v)) for n, v in values.items()}, coordinates)


class _OneTime:
    """One field of the prediction of one time, beside the truth; cubes (level, time, lat, lon).

    A first time is added if the first lead time is not 0: what the model saw last.
    """

    def __init__(
        self, prediction: xr.Dataset, field: FieldSpec, normalizer: Normalizer, store: Store
    ):
        self.field, self.store, self._normalizer = field, store, normalizer
        leads = prediction["prediction_timedelta"].values
        self._added = int(leads[0] > np.timedelta64(0))
        leads = np.concatenate([np.zeros(self._added, leads.dtype), leads])
        self.times = prediction["time"].values + leads
        self.longitude = prediction["longitude"].values
        self.rows = nearest_known(store.latitude, prediction["latitude"].values)
        self.columns = nearest_known(store.longitude, self.longitude, period=360.0)
        values = _leveled(prediction[field.name], field)
        self.number = values.sizes.get("number")
        if self.number:
            members = values.transpose("number", *_DIMS).values
            mean, deviation = members.mean(axis=0, dtype=np.float64), spread(members)
        else:
            deviation = _leveled(prediction[f"{field.name}_spread"], field)
            mean, deviation = (a.transpose(*_DIMS).values for a in (values, deviation))
        self.mean, self.spread = self._padded(mean), self._padded(deviation)
        self.masked = np.isfinite(self.mean)
        if (hidden := prediction.get(f"{field.name}_hidden")) is not None:
            # Elsewhere the values may be the store's own.
            masked = _leveled(hidden, field).transpose(*_DIMS).values
            self.masked &= self._padded(masked, False)
        self.truth = cube(store, field, self.times, self.rows, self.columns)

    def _padded(self, values: np.ndarray, fill=np.nan) -> np.ndarray:
        return np.pad(values, [(0, 0), (self._added, 0), (0, 0), (0, 0)], constant_values=fill)

    def sums(self) -> dict[str, Sums]:
        """Return the sums (level, lead) of each model where all of them and the truth are known.

        The ensemble has its mean alone: that is all that some predictions keep of their members.
        """
        place = self.times, self.rows, self.columns
        expected = self._normalizer.denormalize(np.zeros(self.mean.shape, np.float32), *place)
        steady = baselines.persistence(self.truth, self.masked, expected)
        kept = slice(self._added, None)
        mean, steady, truth = (a[:, kept] for a in (self.mean, steady, self.truth))
        known = np.isfinite(mean) & np.isfinite(steady) & np.isfinite(truth)
        counted = self.masked[:, kept] & known
        scale = np.broadcast_to(self._normalizer.scale(*place)[1], self.mean.shape)
        ensemble = Case.where(
            counted,
            mean[None],
            truth,
            num_axes=2,
            weight=area_weights(self.store.latitude)[self.rows][:, None],
            scale=scale[:, kept],
        )
        cases = ensemble, ensemble.beside(steady[counted][None])
        statistics = metrics.statistics_of(metrics.VERIFICATION)
        return {n: Sums.of(statistics, case) for n, case in zip(MODELS, cases, strict=True)}

    def picture(self) -> xr.Dataset:
        """Return what is drawn: the middle level."""
        level = list(self.field.levels).index(self.field.middle_level)
        arrays = {
            "target": self.truth,
            "prediction": np.where(self.masked, self.mean, self.truth),
            "spread": np.where(self.masked, self.spread, np.nan),
            "hidden": self.masked,
        }
        arrays = {name: values[[level]] for name, values in arrays.items()}
        latitude = self.store.latitude[self.rows]
        places = ([self.field.middle_level], self.times, latitude, self.longitude)
        return picture(self.store, self.field.name, arrays, places, self.number)


def _leveled(values: xr.DataArray, field: FieldSpec) -> xr.DataArray:
    """Return an array with the levels of its field; one level at the surface."""
    if "level" not in values.dims:
        return values.expand_dims("level")
    return values.sel(level=list(field.levels))
