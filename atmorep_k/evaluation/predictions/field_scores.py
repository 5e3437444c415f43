"""The scores of one field, gathered one reference time at a time."""

import functools
import importlib.util
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from atmorep_k.errors import missing_extra
from atmorep_k.evaluation import metrics
from atmorep_k.evaluation.baselines import Climatology
from atmorep_k.evaluation.case import Case
from atmorep_k.evaluation.events import Event
from atmorep_k.evaluation.metrics import Metric, statistics_of
from atmorep_k.evaluation.predictions import bootstrap
from atmorep_k.evaluation.predictions.events import events_of_truth
from atmorep_k.evaluation.predictions.matched_field import MatchedField
from atmorep_k.evaluation.predictions.spectra import Spectra
from atmorep_k.evaluation.predictions.spherical_spectra import SphericalSpectra, rings_of
from atmorep_k.evaluation.predictions.tables import WAVENUMBERS
from atmorep_k.evaluation.predictions.zonal_spectra import ZonalSpectra
from atmorep_k.evaluation.sums import WEIGHT, Sums

_CELL = ("level", "prediction_timedelta", "region")
# The quantiles of the members that are scored.
QUANTILES = (0.1, 0.5, 0.9)
# Points along latitude and longitude of the neighbourhoods in which events are looked for.
NEIGHBOURHOODS = (3, 9)


def field_metrics(number: int, events: Sequence[Event], grid: Sequence[int]) -> list[Metric]:
    """Return the metrics of a field, in the order of files.

    Args:
        number: members; a single forecast has no spread.
        events: the events.
        grid: numbers of rows and columns; neighbourhoods that are larger are left out.
    """
    found = [*metrics.PREDICTIONS, *([metrics.SpreadSkill()] if number > 1 else [])]
    found += [metrics.QuantileScore(share) for share in QUANTILES]
    for event in events:
        found += [metrics.EquitableThreatScore(event), metrics.ROCArea(event)]
        widths = [width for width in NEIGHBOURHOODS if width <= min(grid)]
        found += [metrics.FractionsSkillScore(event, width) for width in widths]
    return found


class FieldScores:
    """The scores of one field, from sums by time, model, level, lead time and region.

    Args:
        field: the prediction and its place in the store.
        regions: name -> (lat, lon) weights of points; the first is the whole grid.
        times: indices of the times of the store that the climatology averages over.
    """

    def __init__(self, field: MatchedField, regions: dict[str, np.ndarray], times: np.ndarray):
        self.field = field
        self.regions = list(regions)
        self._weight = np.stack(list(regions.values()))
        self.events = events_of_truth(field, self._weight[0])
        grid = len(field.rows), len(field.columns)
        self.metrics = field_metrics(field.number, self.events, grid)
        self._of_members = statistics_of(self.metrics)
        self._of_single = statistics_of(field_metrics(1, self.events, grid))
        self._climatology: Climatology = field.climatology(times)
        self._times = field.values.sizes["time"]
        self._shape = len(field.levels), len(field.leads), len(regions)
        self._totals: dict[str, np.ndarray] = {}
        self._ranks = np.zeros((*self._shape, field.number + 1))
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
            self._without = "its grid is not a global one of equidistant or Gaussian rows"
        elif not importlib.util.find_spec("ducc0"):
            self._without = str(missing_extra("ducc0", "derive"))
        else:
            of_sphere = SphericalSpectra(field.models, rings, shape, grid)
            self.spectra["spherical_spectra"] = of_sphere

    def add(self, number: int) -> None:
        """Add the reference time at an index."""
        one = self.field.one(number, self._climatology)
        known, predicted = one.coverage()
        if not known:
            return
        self._known += known
        self._predicted += predicted
        for lead in range(len(self.field.leads)):
            for model, (name, case) in enumerate(one.cases(lead, self._weight)):
                self._keep(number, model, lead, case)
                for spectra in self.spectra.values():
                    spectra.add(lead, name, case)

    def _keep(self, number: int, model: int, lead: int, case: Case) -> None:
        """Keep the sums of one case, those of each time by themselves: intervals need them."""
        statistics = self._of_members if case.number > 1 else self._of_single
        for name, total in Sums.of(statistics, case).items():
            if name not in self._totals:  # the first is the prediction, which has the most members
                shape = self._times, len(self.field.models), *self._shape, *total.shape[2:]
                self._totals[name] = np.zeros(shape)
            there = (slice(size) for size in total.shape[2:])
            place: tuple[Any, ...] = (number, model, slice(None), lead, slice(None), *there)
            self._totals[name][place] = total
        if case.number > 1:
            ranks = metrics.RankHistogram().statistics
            self._ranks[:, lead] += Sums.of(ranks, case)["ranks"]

    @property
    def times(self) -> np.ndarray:
        """Indices of the reference times that have a point that counts."""
        if not self._totals:
            return np.zeros(0, np.int64)
        return np.flatnonzero(self._totals[WEIGHT].any(axis=(1, 2, 3, 4)))

    def dataset(self, block: int | None) -> xr.Dataset:
        """Return all scores with labels, see `evaluate`.

        Args:
            block: times in a block of the bootstrap; `block_length` if None.
        """
        sums = Sums(self._totals).map(lambda total: total[self.times])
        score = functools.partial(metrics.scores_of, metrics=self.metrics)
        found = score(sums.map(lambda total: total.sum(axis=0)))
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
    def _coordinates(self) -> dict[str, np.ndarray | list[str]]:
        level, lead, region = _CELL
        return {level: self.field.levels, lead: self.field.leads, region: self.regions}

    def _more(self) -> dict[str, xr.DataArray]:
        """Return the thresholds, and the rank histogram and spectra if the field has them."""
        places = {"level": self.field.levels}
        values = np.stack([event.threshold for event in self.events])
        events = {"event": [event.name for event in self.events], **places}
        found = {"threshold": xr.DataArray(values, events, ("event", "level"))}
        if self.field.number > 1:
            shares = metrics.RankHistogram().of(Sums({"ranks": self._ranks}))
            coordinates = {**self._coordinates, "rank": np.arange(self.field.number + 1)}
            found["ranks"] = xr.DataArray(shares, coordinates, (*_CELL, "rank"))
        for name, spectra in self.spectra.items():
            power, dim = spectra.mean(), WAVENUMBERS[name]
            coordinates = {"of": spectra.names, **places, "prediction_timedelta": self.field.leads}
            coordinates[dim] = np.arange(power.shape[-1])
            found[name] = xr.DataArray(power, coordinates, list(coordinates))
        return found
