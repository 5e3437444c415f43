"""Sums of one field over held-out windows, and the scores that follow from them."""

from collections.abc import Sequence
from typing import Any

import xarray as xr

from atmorep_k.evaluation import metrics
from atmorep_k.evaluation.case import Case
from atmorep_k.evaluation.held_out.windows import HeldOutWindow
from atmorep_k.evaluation.sums import Sums

ENSEMBLE = "ensemble"
_CELLS = ("level", "time")
_OF_MODELS = metrics.statistics_of(metrics.HELD_OUT)
_OF_MEMBERS = metrics.statistics_of(
    (*metrics.HELD_OUT, metrics.SpreadSkill(), metrics.RankHistogram())
)


class FieldSums:
    """Sums of one field in one task, by level and time of the window; nothing else is kept.

    Masked points count 1, all others 0.

    Args:
        levels: the field's levels.
    """

    def __init__(self, levels: Sequence[float]):
        self.levels = list(levels)
        self.number = 1
        self._sums: dict[str, Sums] = {}

    def add(self, window: HeldOutWindow, members) -> None:
        """Add the masked points of one window.

        Args:
            window: truth and baselines.
            members: `(member, level, time, lat, lon)` in physical units.
        """
        masked = window.masked
        case = Case.where(masked, members, window.target, num_axes=2, scale=window.scale)
        self.number = case.number
        self._add(ENSEMBLE, Sums.of(_OF_MEMBERS, case))
        for name, values in window.baselines.items():
            self._add(name, Sums.of(_OF_MODELS, case.beside(values[masked][None])))

    def _add(self, model: str, sums: Sums) -> None:
        self._sums[model] = self._sums[model] + sums if model in self._sums else sums

    @property
    def data(self) -> xr.Dataset:
        """The sums with labels.

        `squared_error`, `normalised_squared_error`, `error` and `crps` by model, level and time; of
        the members `variance` by level and time and `ranks` by level and rank; `weight`, the number
        of points, by level and time. The attribute `number` is that of the members.
        """
        ensemble = self._sums[ENSEMBLE]
        named = {s.name: [sums[s.name] for sums in self._sums.values()] for s in _OF_MODELS}
        variables: dict[str, Any] = {
            name: (("model", *_CELLS), values) for name, values in named.items()
        }
        for name in ("variance", "weight"):
            variables[name] = (_CELLS, ensemble[name])
        variables["ranks"] = (("level", "rank"), ensemble["ranks"].sum(axis=1))
        coordinates = {"model": list(self._sums), "level": self.levels}
        coordinates["rank"] = range(self.number + 1)
        return xr.Dataset(variables, coordinates, {"number": self.number})


def scores_of_field(sums: xr.Dataset, preserve_dims: Sequence[str] = ()) -> xr.Dataset:
    """Return the scores of each model, (model, ...).

    Args:
        sums: the `data` of `FieldSums`.
        preserve_dims: `level` and `time`, or one of them, for which scores are given separately.
    """
    dims = [d for d in _CELLS if d in sums.dims and d not in preserve_dims]
    total = Sums(sums.drop_vars("ranks").sum(dims, skipna=False).data_vars)
    found = metrics.scores_of(total, metrics.HELD_OUT)
    if sums.attrs["number"] > 1:
        of_ensemble = metrics.SpreadSkill().of(total)
        found["spread_skill"] = of_ensemble.where(of_ensemble["model"] == ENSEMBLE)
    return xr.Dataset(found, attrs=sums.attrs)
