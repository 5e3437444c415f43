"""One field of a prediction beside what a store has at the same points."""

import dataclasses

import numpy as np
import xarray as xr

from atmorep_k.data.stores.base import Store
from atmorep_k.evaluation import baselines
from atmorep_k.evaluation.baselines import Climatology
from atmorep_k.evaluation.predictions.one_time import OneTime
from atmorep_k.evaluation.truth import cube

_DIMS = ("prediction_timedelta", "number", "level", "latitude", "longitude")
# Tasks in which the value at `time` was known, and nothing after it (but for `interpolate`).
_KNOWN_UP_TO_TIME = ("", "forecast", "rollout", "interpolate")


@dataclasses.dataclass(frozen=True)
class MatchedField:
    """One field of a prediction, and where its points lie in a store.

    Args:
        store: has the truth.
        values: the prediction (time, prediction_timedelta, [number,] [level,] latitude, longitude)
            in any order, read as it is used.
        level_index: `(level,)` indices of levels in the store.
        rows: `(lat,)` indices of latitudes.
        columns: `(lon,)` indices of longitudes.
        hidden: where it was predicted, like `values` without members; elsewhere `values` may hold
            what the model saw, which does not count. None if all was predicted.
        given: the input of the prediction, like `values` without members; it is a baseline. None
            if it is not known.
    """

    store: Store
    values: xr.DataArray
    level_index: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    hidden: xr.DataArray | None = None
    given: xr.DataArray | None = None

    @property
    def name(self) -> str:
        """The field's name."""
        return str(self.values.name)

    @property
    def number(self) -> int:
        """Members; 1 for a single forecast."""
        return self.values.sizes.get("number", 1)

    @property
    def has_level(self) -> bool:
        """Whether it is on levels, not at the surface."""
        return "level" in self.values.dims

    @property
    def levels(self) -> np.ndarray:
        """`(level,)` values; `[0]` at the surface."""
        return self.store.levels_of(self.name)[self.level_index]

    @property
    def leads(self) -> np.ndarray:
        """`(lead,)` timedelta64."""
        return self.values["prediction_timedelta"].values

    @property
    def around(self) -> bool:
        """Whether rows are whole circles of latitude."""
        return self.store.is_global and len(self.columns) == len(self.store.longitude)

    @property
    def models(self) -> tuple[str, ...]:
        """What is scored: the prediction, then the baselines that its task has."""
        first = "ensemble" if "number" in self.values.dims else "prediction"
        return (first, "climatology", *self._baselines)

    @property
    def _baselines(self) -> tuple[str, ...]:
        task = self.values.attrs.get("task", "")
        known = ("persistence",) if task in _KNOWN_UP_TO_TIME else ()
        known = (*known, "input") if self.given is not None else known
        return (*known, "linear_interpolation") if self._between else known

    @property
    def _between(self) -> bool:
        """Whether what was predicted lies evenly between two known hours."""
        if self.values.attrs.get("task") != "interpolate":
            return False
        return len(np.unique(np.diff(self.leads, prepend=np.timedelta64(0, "ns")))) == 1

    def valid_times(self) -> np.ndarray:
        """Return the hours that were predicted and that the store has, `(hour,)` ascending."""
        valid = np.unique(self.values["time"].values[:, None] + self.leads)
        return valid[np.isin(valid, self.store.time)]

    def read(self, times: np.ndarray) -> np.ndarray:
        """Return the truth (hour, level, lat, lon) float32, NaN where the store lacks an hour."""
        return np.moveaxis(cube(self.store, self, times, self.rows, self.columns), 1, 0)

    def one(self, number: int, climatology: Climatology) -> OneTime:
        """Return forecasts and truth of the reference time `number`; it alone is in memory."""
        values = self.values.isel(time=number)
        time = values["time"].values
        if self.hidden is not None:
            values = values.where(self.hidden.isel(time=number).astype(bool))
        hours = time + np.concatenate([[0 * self.leads[0]], self.leads, [self._after]])
        known = self.read(hours)
        expected = climatology.window(hours[1:-1], self.rows, self.columns)[self._of_climatology]
        forecasts = {self.models[0]: self._levelled(values)}
        forecasts["climatology"] = np.moveaxis(expected, 1, 0)[:, None]
        for name in self._baselines:
            if name == "input" and self.given is not None:
                forecasts[name] = self._levelled(self.given.isel(time=number))
            else:
                forecasts[name] = self._baseline(name, known)[:, None]
        return OneTime(known[1:-1], forecasts)

    def _levelled(self, values: xr.DataArray) -> np.ndarray:
        """Return (lead, member, level, lat, lon) of one reference time."""
        if "number" not in values.dims:
            values = values.expand_dims("number")
        if not self.has_level:
            values = values.expand_dims("level")
        return values.transpose(*_DIMS).values

    @property
    def _after(self) -> np.timedelta64:
        """The first known hour after those that were filled between two."""
        return self.leads[-1] + self.leads[0]

    @property
    def _of_climatology(self) -> np.ndarray:
        """Where the levels lie among those of `climatology`."""
        return np.argsort(np.argsort(self.level_index))

    def _baseline(self, name: str, known: np.ndarray) -> np.ndarray:
        """Return persistence or linear interpolation (lead, level, lat, lon).

        Args:
            name: of the baseline.
            known: truth (hour, level, lat, lon): at `time`, at the lead times, after them.
        """
        if name == "persistence":
            return np.broadcast_to(known[:1], known[1:-1].shape)
        known = np.moveaxis(known, 0, 1)
        masked = np.zeros(known.shape, bool)
        masked[:, 1:-1] = True
        filled = baselines.linear_interpolation(known, masked, np.zeros_like(known))
        return np.moveaxis(filled, 1, 0)[1:-1]

    def climatology(self, times: np.ndarray) -> Climatology:
        """Return the mean by month and hour of day, of the months that were predicted.

        Args:
            times: indices of the times of the store to average over.
        """
        months = np.unique(baselines.month_and_hour(self.valid_times())[0])
        levels = self.store.levels_of(self.name)[np.sort(self.level_index)]
        return Climatology.from_store(self.store, self.name, levels, times, list(months))
