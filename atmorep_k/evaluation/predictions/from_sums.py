"""Scores from the sums that `evaluating.parts` gives."""

from collections.abc import Mapping

import numpy as np
import xarray as xr

from atmorep_k.evaluation import metrics
from atmorep_k.evaluation.predictions.events import NEIGHBOURHOODS

_CELLS = {"tp_count": "hits", "fp_count": "false_alarms", "fn_count": "misses"}
_CELLS |= {"tn_count": "correct_negatives"}


def from_sums(sums: Mapping[str, np.ndarray], number: int) -> dict[str, np.ndarray]:
    """Returns score -> values of the shape of the sums, NaN where nothing was counted.

    Args:
        sums: name -> sums over times, all of one shape.
        number: members; spread/skill is of those that have a variance.
    """
    weight = sums["weight"]
    mse = _ratio(sums["squared"], weight)
    found = {
        "rmse": np.sqrt(mse),
        "mae": _ratio(sums["absolute"], weight),
        "bias": _ratio(sums["error"], weight),
        "acc": _ratio(sums["correlation"], sums["correlation_times"]),
        "crps": _ratio(sums["crps"], weight),
        "energy_score": _ratio(sums["energy"], sums["energy_times"]),
    }
    if number > 1:
        variance = _ratio(sums["variance"], weight)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = metrics.spread_skill_ratio(variance, mse, number)
        found["spread_skill"] = np.where(np.isfinite(ratio), ratio, np.nan)
    return found | _of_quantiles(sums) | _of_events(sums)


def _ratio(total: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return np.divide(total, weight, out=np.full(np.shape(total), np.nan), where=weight > 0)


def _of_quantiles(sums) -> dict[str, np.ndarray]:
    names = [name for name in sums if name.startswith("pinball_")]
    return {
        f"quantile_score_{name.removeprefix('pinball_')}": _ratio(sums[name], sums["weight"])
        for name in names
    }


def _of_events(sums) -> dict[str, np.ndarray]:
    found = {}
    for event in [name.removeprefix("hits_") for name in sums if name.startswith("hits_")]:
        found[f"ets_{event}"] = _equitable_threat_score(sums, event)
        found[f"roc_area_{event}"] = _roc_area(sums, event)
        for width in NEIGHBOURHOODS:
            if (most := sums.get(f"fraction_most_{event}_{width}")) is not None:
                error = sums[f"fraction_error_{event}_{width}"]
                found[f"fss_{event}_{width}"] = 1 - _ratio(error, most)
    return found


def _equitable_threat_score(sums, event: str) -> np.ndarray:
    from scores.categorical import BasicContingencyManager

    cells = {c: sums[f"{name}_{event}"] for c, name in _CELLS.items()}
    cells["total_count"] = sum(cells.values())
    dims = [f"axis_{n}" for n in range(cells["total_count"].ndim)]
    table = {name: xr.DataArray(values, dims=dims) for name, values in cells.items()}
    with np.errstate(divide="ignore", invalid="ignore"):
        values = BasicContingencyManager(table).equitable_threat_score().values
    return np.where(np.isfinite(values), values, np.nan)


def _roc_area(sums, event: str) -> np.ndarray:
    """Returns the area under the curve of hit rate over false alarm rate, Mason (1982).

    The share of pairs of a point with the event and one without it in which more members foretell
    it at the first; a tie counts half. These are the trapezoids between the points of the curve.
    """
    number = sum(name.startswith(f"votes_with_{event}_") for name in sums)
    present, absent = (
        np.stack([sums[f"votes_{which}_{event}_{k}"] for k in range(number)])
        for which in ("with", "without")
    )
    below = absent.cumsum(axis=0) - absent / 2
    return _ratio((present * below).sum(axis=0), present.sum(axis=0) * absent.sum(axis=0))
