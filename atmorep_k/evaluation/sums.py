"""Sums over many windows, and the scores that follow from them."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from atmorep_k.evaluation.metrics import (
    MEMBER,
    error,
    point_crps,
    point_ranks,
    point_variance,
    rank_counts,
    spread_skill_ratio,
)


class ScoreSums:
    """Running sums of the scores of one field in one task: nothing else of a sample is kept.

    `data` holds, by model, level and time of the window, the sums over hidden points of
    `squared_error`, `normalised_squared_error`, `error` and `crps`; by level and time the `count`
    of points and the sum of the members' `variance`; by level the `ranks` of the target.

    Args:
        levels: the field's levels.
        num_times: times of the window.
        baselines: names of the single forecasts beside the `ensemble`.
        number: members of the ensemble.
    """

    def __init__(
        self, levels: Sequence[float], num_times: int, baselines: Sequence[str], number: int
    ):
        shape = len(levels), num_times
        models = ["ensemble", *baselines]
        cells = ("level", "time")
        names = ("squared_error", "normalised_squared_error", "error", "crps")
        sums = {n: (("model", *cells), np.zeros((len(models), *shape))) for n in names}
        sums["variance"] = (cells, np.zeros(shape))
        sums["count"] = (cells, np.zeros(shape))
        sums["ranks"] = (("level", "rank"), np.zeros((shape[0], number + 1)))
        coordinates = {"model": models, "level": list(levels), "rank": np.arange(number + 1)}
        self.data = xr.Dataset(sums, coordinates, {"number": number})

    def add(
        self,
        hidden: np.ndarray,
        target: np.ndarray,
        forecasts: dict[str, np.ndarray],
        scale: np.ndarray,
    ) -> None:
        """Adds the hidden points of one window.

        Args:
            hidden: bool (level, time, lat, lon).
            target: true values (level, time, lat, lon).
            forecasts: `ensemble` (member, level, time, lat, lon) and each baseline
                (level, time, lat, lon), in the units of the target.
            scale: standard deviation that normalises the field, broadcastable to the target.
        """
        level, time = np.nonzero(hidden)[:2]
        cell = level * hidden.shape[1] + time
        truth = xr.DataArray(target[hidden].astype(np.float64), dims="point")
        scale = np.broadcast_to(scale, hidden.shape)[hidden].astype(np.float64)
        self._add("count", np.ones(cell.size), cell)
        for model, values in forecasts.items():
            dims = (MEMBER, "point") if values.ndim == hidden.ndim + 1 else ("point",)
            forecast = xr.DataArray(values[..., hidden].astype(np.float64), dims=dims)
            difference = error(forecast, truth).values
            self._add("error", difference, cell, model)
            self._add("squared_error", difference**2, cell, model)
            self._add("normalised_squared_error", (difference / scale) ** 2, cell, model)
            self._add("crps", point_crps(forecast, truth).values, cell, model)
        members = forecasts["ensemble"][..., hidden].astype(np.float64)
        self._add_members(xr.DataArray(members, dims=(MEMBER, "point")), truth, cell, level)

    def _add_members(self, members, truth, cell, level) -> None:
        if self.data.attrs["number"] > 1:
            self._add("variance", point_variance(members).values, cell)
        below, equal = (ranks.values for ranks in point_ranks(members, truth))
        ranks = self.data["ranks"].values
        ranks += rank_counts(below, equal, self.data.attrs["number"], level, len(ranks))

    def _add(self, name: str, values: np.ndarray, cell: np.ndarray, model: str | None = None):
        sums = self.data[name].values
        if model is not None:
            sums = sums[list(self.data["model"].values).index(model)]
        sums += np.bincount(cell, values, sums.size).reshape(sums.shape)


def scores_of(sums: xr.Dataset, preserve_dims: Sequence[str] = ()) -> xr.Dataset:
    """Returns the scores of each model from the `data` of `ScoreSums`.

    Args:
        sums: the running sums.
        preserve_dims: `level` and `time`, or one of them, for which scores are given separately.
    """
    dims = [d for d in ("level", "time") if d in sums.dims and d not in preserve_dims]
    total = sums.drop_vars("ranks").sum(dims, skipna=False)
    count = total["count"].where(total["count"] > 0)
    mse = total["squared_error"] / count
    scores = {
        "normalised_mse": total["normalised_squared_error"] / count,
        "rmse": np.sqrt(mse),
        "crps": total["crps"] / count,
        "bias": total["error"] / count,
    }
    number = sums.attrs["number"]
    if number > 1:
        of_ensemble = spread_skill_ratio(total["variance"] / count, mse, number)
        scores["spread_skill"] = of_ensemble.where(of_ensemble["model"] == "ensemble")
    return xr.Dataset(scores, attrs=sums.attrs)
