"""A counterfactual prediction beside the factual one: how much it differs, and where."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from atmorep_k.console import new_table
from atmorep_k.data.stores.base import Store
from atmorep_k.figures import plots
from atmorep_k.figures.maps import coastlines_of
from atmorep_k.protocols import Model
from atmorep_k.tasks.compared import area_of, comparison_picture

_PANELS = {
    "target": "Factual",
    "prediction": "Counterfactual",
    "error": "Difference",
    "spread": "Spread of the difference",
}
_COLUMNS = ("mean\ndifference", "RMS\ndifference", "spread of the\ndifference")


@dataclasses.dataclass(frozen=True)
class Comparison:
    """How far predictions differ that were given different information.

    Args:
        told: what the counterfactual was given, in words.
        sizes: field -> `mean`, `rms` and `spread` of the difference (prediction_timedelta), means
            over area, levels and times; the attribute `units`.
        pictures: field -> what `maps.prediction_maps` draws, of the first time.
        lines: coastlines.
    """

    told: str
    sizes: dict[str, xr.Dataset]
    pictures: dict[str, xr.Dataset]
    lines: Sequence[np.ndarray]

    @property
    def remark(self) -> str:
        """Why the table is missing; empty if it is not."""
        if any(of["rms"].max() > 0 for of in self.sizes.values()):
            return ""
        return f"no difference: the model predicts the same with {self.told} as with the truth."

    def table(self):
        """Returns a `rich` table: all lead times and the last one."""
        title = f"Counterfactual minus factual, given {self.told}"
        table = new_table(title, ("field", "lead"), _COLUMNS)
        for field, sizes in self.sizes.items():
            known = sizes.dropna("prediction_timedelta", how="all")
            last = known.isel(prediction_timedelta=-1)
            hours = last["prediction_timedelta"].values / np.timedelta64(1, "h")
            table.add_row(f"{field} ({sizes.attrs['units']})", "all", *_cells(_over_all(known)))
            if known.sizes["prediction_timedelta"] > 1:
                table.add_row("", f"{hours:g} h", *_cells(last))
        return table

    def draw(self, directory: Path) -> list[Path]:
        """Draws `map_counterfactual_<field>.png` into a directory, made if need be."""
        title = f"Counterfactual, given {self.told}"
        how = title, self.lines, _PANELS
        return plots.draw_maps(self.pictures, "counterfactual", directory, *how)


def _over_all(sizes: xr.Dataset) -> xr.Dataset:
    squares = (sizes[["rms", "spread"]] ** 2).mean()
    return squares.map(np.sqrt).assign(mean=sizes["mean"].mean())


def _cells(sizes: xr.Dataset) -> list[str]:
    return [f"{float(sizes[name]):.3g}" for name in ("mean", "rms", "spread")]


def compare(prediction: xr.Dataset, model: Model, stores: Mapping[str, Store]) -> Comparison:
    """Measures and pictures a counterfactual prediction; one time is in memory at a time.

    Args:
        prediction: as `counterfactual` gives it.
        model: the model that made it.
        stores: field -> the store that it was made from.
    """
    fields = [f for f in model.predicted if f.name in prediction]
    sizes = {f.name: _sizes(prediction, f.name) for f in fields}
    pictures = {}
    for field in fields:
        labels = {"target": "", "prediction": "_counterfactual", "spread": "_difference_spread"}
        names = {panel: f"{field.name}{label}" for panel, label in labels.items()}
        one, store = prediction.isel(time=0), stores[field.name]
        pictures[field.name] = comparison_picture(one, field, store, names, after=True)
    lines = coastlines_of(stores[f.name] for f in fields)
    return Comparison(prediction.attrs["told"], sizes, pictures, lines)


def _sizes(prediction: xr.Dataset, name: str) -> xr.Dataset:
    area, found = area_of(prediction["latitude"]), []
    for number in range(prediction.sizes["time"]):
        one = prediction.isel(time=number)
        difference = one[f"{name}_difference"].astype(np.float64)
        squared = one[f"{name}_difference_spread"].astype(np.float64) ** 2
        sizes = xr.Dataset({"mean": difference, "rms": difference**2, "spread": squared})
        places = set(difference.dims) - {"prediction_timedelta"}
        found.append(sizes.weighted(area).mean(places))
    mean = xr.concat(found, "time", coords="minimal", compat="override").mean("time")
    mean = mean.assign(mean[["rms", "spread"]].map(np.sqrt))
    return mean.assign_attrs(units=prediction[name].attrs["units"])
