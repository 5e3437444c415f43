"""The scores of one field, gathered one reference time at a time."""

import functools
import importlib.util
from collections.abc import Sequence

import numpy as np
import xarray as xr

from atmorep_k.errors import missing_extra
from atmorep_k.evaluation import metrics
from atmorep_k.evaluation.baselines import Climatology
from atmorep_k.evaluation.predictions import bootstrap
from atmorep_k.evaluation.predictions.case import Case
from atmorep_k.evaluation.predictions.events import Events
from atmorep_k.evaluation.predictions.from_sums import from_sums
from atmorep_k.evaluation.predictions.matched_field import MatchedField
from atmorep_k.evaluation.predictions.parts import parts
from atmorep_k.evaluation.predictions.spectra import Spectra
from atmorep_k.evaluation.predictions.spherical_spectra import SphericalSpectra, rings_of
from atmorep_k.evaluation.predictions.tables import WAVENUMBERS
from atmorep_k.evaluation.predictions.zonal_spectra import ZonalSpectra

_CELL = ("level", "prediction_timedelta", "region")


class FieldScores:
    """Sums of one field by time, model, level, lead time and region, and the scores from them.

    Args:
        field: the prediction and its place in the store.
        regions: name -> (lat, lon) weights of points; the first is the whole grid.
        times: indices of the times of the store that the climatology averages over.
    """

    def __init__(self, field: MatchedField, regions: dict[str, np.ndarray], times: np.ndarray):
        self.field = field
        self.regions = list(regions)
        self._weight = np.stack(list(regions.values()))
        self.events = Events.of_truth(field, self._weight[0])
        self._climatology: Climatology = field.climatology(times)
        self._times = field.values.sizes["time"]
        self._shape = len(field.levels), len(field.leads), len(regions)
        self.sums: dict[str, np.ndarray] = {}
        self.ranks = np.zeros((*self._shape, field.number + 1))
        self._known = self._predicted = 0
        self._area = self._weight[0].sum(axis=-1)
        self.spectra: dict[str, Spectra] = {}
        self._without = ""
        if field.around:
            self._prepare_spectra()

    def _prepare_spectra(self) -> None:
        field, shape = self.field, self._shape[:2]
        grid = len(field.rows), len(field.columns)
        self.spectra["spectra"] = ZonalSpectra(field.models, self._area, shape, grid[1])
        place = field.store.latitude[field.rows], field.store.longitude[field.columns]
        if not (rings := rings_of(*place)):
            self._without = "its grid is no global one of equidistant or Gaussian rows"
        elif not importlib.util.find_spec("ducc0"):
            self._without = str(missing_extra("ducc0", "derive"))
        else:
            of_sphere = SphericalSpectra(field.models, rings, shape, grid)
            self.spectra["spherical_spectra"] = of_sphere

    def add(self, number: int) -> None:
        """Adds the reference time of an index."""
        one = self.field.one(number, self._climatology)
        known, predicted = one.coverage()
        if not known:
            return
        self._known += known
        self._predicted += predicted
        for lead in range(len(self.field.leads)):
            for model, (name, case) in enumerate(one.cases(lead, self._weight)):
                for part, values in parts(case, self.events).items():
                    self._sum(part)[number, model, :, lead] = values
                for spectra in self.spectra.values():
                    spectra.add(lead, name, case)
                if case.number > 1:
                    self._add_ranks(lead, case)

    def _sum(self, part: str) -> np.ndarray:
        if part not in self.sums:
            self.sums[part] = np.zeros((self._times, len(self.field.models), *self._shape))
        return self.sums[part]

    def _add_ranks(self, lead: int, case: Case) -> None:
        below, equal = (r.values for r in metrics.point_ranks(case.forecast, case.truth))
        level = np.arange(len(below))[:, None, None]
        for region in range(len(self.regions)):
            weight = case.weight[:, region]
            there = weight > 0
            group = np.broadcast_to(level, weight.shape)[there]
            arguments = below[there], equal[there], case.number, group, len(below), weight[there]
            self.ranks[:, lead, region] += metrics.rank_counts(*arguments)

    @property
    def times(self) -> np.ndarray:
        """Indices of the reference times of which any point counts."""
        if not self.sums:
            return np.zeros(0, np.int64)
        return np.flatnonzero(self.sums["weight"].any(axis=(1, 2, 3, 4)))

    def dataset(self, block: int | None) -> xr.Dataset:
        """Returns all scores, labelled, see `prediction_scores.evaluate`.

        Args:
            block: times in a block of the bootstrap; a usual number if None.
        """
        sums = {name: values[self.times] for name, values in self.sums.items()}
        score = functools.partial(from_sums, number=self.field.number)
        found = score({name: values.sum(axis=0) for name, values in sums.items()})
        name = self.field.name
        made = {name: self._labelled(found)}
        if len(self.times) >= bootstrap.FEWEST_TIMES:
            block = block or bootstrap.block_length(len(self.times))
            ends = bootstrap.intervals(sums, score, min(block, len(self.times)))
            for end, values in zip(("low", "high"), ends, strict=True):
                made[f"{name}_{end}"] = self._labelled(values)
            made[name].attrs["times_in_a_block"] = block
        made[name].attrs |= {
            "times_scored": len(self.times),
            "number": self.field.number,
            "share_predicted": self._predicted / self._known,
            "no_spherical_spectra": self._without,
        }
        made |= {f"{name}_{key}": values for key, values in self._more().items()}
        result = xr.Dataset(made)
        return result if self.field.has_level else result.isel(level=0, drop=True)

    def _labelled(self, values: dict[str, np.ndarray]) -> xr.DataArray:
        attributes = {"units": self.field.store.variables[self.field.name].units}
        stacked = xr.DataArray(
            np.stack(list(values.values())),
            {"score": list(values), "model": list(self.field.models), **self._coordinates},
            ("score", "model", *_CELL),
            attrs=attributes,
        )
        single = (stacked["score"] == "spread_skill") & (stacked["model"] != "ensemble")
        return stacked.where(~single)

    @property
    def _coordinates(self) -> dict[str, Sequence]:
        return dict(zip(_CELL, (self.field.levels, self.field.leads, self.regions), strict=True))

    def _more(self) -> dict[str, xr.DataArray]:
        """Returns rank histogram, thresholds and spectra, as far as there are any."""
        places = {"level": self.field.levels}
        values = np.stack(list(self.events.thresholds.values()))
        events = {"event": list(self.events.thresholds), **places}
        found = {"threshold": xr.DataArray(values, events, ("event", "level"))}
        if self.field.number > 1:
            total = self.ranks.sum(axis=-1, keepdims=True)
            shares = self.ranks / np.where(total > 0, total, np.nan)
            coordinates = {**self._coordinates, "rank": np.arange(self.field.number + 1)}
            found["ranks"] = xr.DataArray(shares, coordinates, (*_CELL, "rank"))
        for name, spectra in self.spectra.items():
            power, dim = spectra.mean(), WAVENUMBERS[name]
            coordinates = {"of": spectra.names, **places, "prediction_timedelta": self.field.leads}
            coordinates[dim] = np.arange(power.shape[-1])
            found[name] = xr.DataArray(power, coordinates, list(coordinates))
        return found
