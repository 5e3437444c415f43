"""A correction beside its input: how much it changes, and which of both is nearer to the truth."""

import dataclasses
import functools
import operator
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from atmorep_k.console import new_table
from atmorep_k.data.named import store_path
from atmorep_k.data.opening import open_store
from atmorep_k.data.stores.base import Store
from atmorep_k.evaluation.sums import WEIGHT, Sums
from atmorep_k.evaluation.truth import beside
from atmorep_k.evaluation.weights import PointWeights
from atmorep_k.fields import FieldSpec
from atmorep_k.figures import plots
from atmorep_k.figures.maps import coastlines_of
from atmorep_k.inference.canvas import spread
from atmorep_k.protocols import Model
from atmorep_k.tasks.compared import area_of, comparison_picture, mean_of

_PANELS = {
    "target": "Input",
    "prediction": "Reconstruction, mean of {number} members",
    "error": "Reconstruction - input",
    "spread": "Spread, standard deviation",
}
# Sizes of the change, and what is known of it where there is a truth: name -> heading.
_CHANGE = {"change": "mean\nchange", "rms_change": "RMS\nchange", "spread": "spread"}
_JUDGED = {
    "rmse_input": "RMSE\ninput",
    "rmse": "RMSE\nreconstr.",
    "bias_input": "bias\ninput",
    "bias": "bias\nreconstr.",
    "spread": "spread",
    "nearer": "nearer to\nthe truth",
}
_SQUARES = ("rms_change", "spread", "rmse_input", "rmse")


@dataclasses.dataclass(frozen=True)
class Correction:
    """What a correction changes, and whether for the better.

    Args:
        sizes: field -> means over area, levels and times (level, the last one `nan`: all of them)
            of `change`, `rms_change` and `spread`, and with a truth of `rmse`, `bias`, the same of
            the `_input`, and `nearer`, the share of points at which the mean of the members is
            nearer to the truth than the input is; the attribute `units`.
        truth: path of the store with the truth; empty without one.
        pictures: field -> what `maps.prediction_maps` draws, of the first time.
        lines: coastlines.
    """

    sizes: dict[str, xr.Dataset]
    truth: str
    pictures: dict[str, xr.Dataset]
    lines: Sequence[np.ndarray]

    @property
    def remark(self) -> str:
        """Empty: a correction always has a table."""
        return ""

    def table(self):
        """Return a `rich` table: all levels, then each of them."""
        columns = _JUDGED if self.truth else _CHANGE
        what = f"Both against {self.truth}" if self.truth else "Reconstruction minus input"
        table = new_table(what, ("field", "level"), columns.values())
        for field, sizes in self.sizes.items():
            title = f"{field} ({sizes.attrs['units']})"
            for number, level in enumerate(sizes["level"].values):
                cells = (_cell(name, sizes[name].values[number]) for name in columns)
                name = "all" if np.isnan(level) else f"{level:g}"
                table.add_row("" if number else title, name, *cells)
        return table

    def draw(self, directory: Path) -> list[Path]:
        """Draw `map_correct_<field>.png` into a directory, made if need be."""
        title = "Fields seen through the model"
        return plots.draw_maps(self.pictures, "correct", directory, title, self.lines, _PANELS)


def _cell(name: str, value: float) -> str:
    return f"{100 * value:.0f} %" if name == "nearer" else f"{value:.3g}"


def judge(prediction: xr.Dataset, model: Model, stores: Mapping[str, Store]) -> Correction:
    """Measure and draw a correction; one time of a field is in memory at a time.

    Args:
        prediction: as `correct` gives it; its attribute `truth`, if it has one, is the path of the
            store to compare it with.
        model: the model that made it.
        stores: field -> the store that was corrected.
    """
    fields = [f for f in model.predicted if f.name in prediction]
    path, sizes, pictures = prediction.attrs.get("truth", ""), {}, {}
    truth = open_store(store_path(path)) if path else None
    for field in fields:
        one, name = prediction.isel(time=0), field.name
        panels = {"target": f"{name}_input", "prediction": name}
        panels["spread"] = f"{name}_spread"
        one = one.assign({panels["spread"]: _spread(one, name)})
        pictures[name] = comparison_picture(one, field, stores[name], panels, after=False)
        sizes[name] = _sizes(prediction, field, truth)
    lines = coastlines_of(stores[f.name] for f in fields)
    return Correction(sizes, path, pictures, lines)


def _sizes(prediction: xr.Dataset, field, truth: Store | None) -> xr.Dataset:
    """Return the means of one field by level, after the means over all levels, see `Correction`."""
    area = area_of(prediction["latitude"]).values[:, None]
    times = (prediction.isel(time=[number]) for number in range(prediction.sizes["time"]))
    sums = functools.reduce(operator.add, (_sums(one, field, truth, area) for one in times))
    levels = list(field.levels) if "level" in prediction[field.name].dims else [np.nan]
    if len(levels) > 1:
        levels = [np.nan, *levels]
        sums = sums.map(lambda total: np.concatenate([[total.sum()], total]))
    means = {name: sums.mean(name) for name in sums if name != WEIGHT}
    means |= {name: np.sqrt(means[name]) for name in _SQUARES if name in means}
    units = {"units": prediction[field.name].attrs["units"]}
    return xr.Dataset({n: ("level", v) for n, v in means.items()}, {"level": levels}, units)


def _sums(one: xr.Dataset, field: FieldSpec, truth: Store | None, area: np.ndarray) -> Sums:
    """Return the sums of one time over the points at which all is known."""
    values = _points(one, field, truth)
    counted = np.logical_and.reduce([np.isfinite(of_points) for of_points in values.values()])
    values = {name: of_points[counted] for name, of_points in values.items()}
    return Sums.of_values(values, PointWeights.where(counted, 1, area))


def _points(one: xr.Dataset, field, truth: Store | None) -> dict[str, np.ndarray]:
    """Return what is averaged of one time at each point: changes and errors, or their squares.

    Arrays are (level, lead, lat, lon) float64.
    """
    if "level" in one[field.name].dims:
        one = one.sel(level=list(field.levels))
    members, given = one[field.name], one[f"{field.name}_input"].astype(np.float64)
    mean = mean_of(members)
    change = mean - given
    found = {"change": change, "rms_change": change**2, "spread": _spread(one, field.name) ** 2}
    if truth is not None:
        true = beside(truth, field, given)
        error, before = mean - true, given - true
        nearer = (abs(error) < abs(before)).where(true.notnull()).astype(np.float64)
        found |= {"rmse": error**2, "rmse_input": before**2, "nearer": nearer}
        found |= {"bias": error, "bias_input": before}
    return {name: _levelled(values) for name, values in found.items()}


def _levelled(values: xr.DataArray) -> np.ndarray:
    """Return values (level, lead, lat, lon) of one time; one level at the surface."""
    values = values.isel(time=0).astype(np.float64)
    if "level" not in values.dims:
        values = values.expand_dims("level")
    return values.transpose("level", "prediction_timedelta", "latitude", "longitude").values


def _spread(one: xr.Dataset, name: str) -> xr.DataArray:
    members = one[name]
    if "number" not in members.dims:
        return one[f"{name}_spread"]
    dims = [dim for dim in members.dims if dim != "number"]
    return xr.DataArray(spread(members.values, members.get_axis_num("number")), dims=dims)
