"""Scores of single forecasts and ensembles, xarray in and xarray out.

A forecast is an array with or without the dimension `number` (ensemble member); the target has the
same dimensions without `number`. Points where the target is NaN were not hidden and are skipped; a
NaN of the forecast at a point that counts makes the score NaN, so that nothing fails in silence.
`preserve_dims` names the dimensions for which the score is given separately.
"""

import math
from collections.abc import Sequence

import numpy as np
import xarray as xr

MEMBER = "number"


def ensemble_mean(forecast: xr.DataArray) -> xr.DataArray:
    """Returns the mean over the members; a single forecast is its own mean."""
    return forecast.mean(MEMBER, skipna=False) if MEMBER in forecast.dims else forecast


def error(forecast: xr.DataArray, target: xr.DataArray) -> xr.DataArray:
    """Returns the error of the ensemble mean at each point, forecast - target."""
    return ensemble_mean(forecast) - target


def point_crps(forecast: xr.DataArray, target: xr.DataArray) -> xr.DataArray:
    """Returns the fair CRPS at each point, the absolute error for fewer than two members.

    mean_i |x_i - y| - sum_{i<j} |x_i - x_j| / (M (M - 1)), Ferro (2014). The second sum is taken
    over the sorted members: sum_i (2 i - M - 1) x_(i), i = 1..M.
    """
    if MEMBER not in forecast.dims:
        return abs(forecast - target)
    arguments = forecast - target, xr.zeros_like(target)
    return xr.apply_ufunc(_fair_crps, *arguments, input_core_dims=[[MEMBER], []])


def _fair_crps(difference: np.ndarray, _) -> np.ndarray:
    number = difference.shape[-1]
    absolute = np.abs(difference).mean(axis=-1)
    if number == 1:
        return absolute
    weights = 2.0 * np.arange(1, number + 1) - number - 1
    return absolute - np.sort(difference, axis=-1) @ weights / (number * (number - 1))


def point_variance(forecast: xr.DataArray) -> xr.DataArray:
    """Returns the unbiased variance of the members (ddof = 1) at each point."""
    return forecast.var(MEMBER, ddof=1, skipna=False)


def point_ranks(forecast: xr.DataArray, target: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    """Returns how many members lie below the target, and how many equal it, at each point."""
    return (forecast < target).sum(MEMBER), (forecast == target).sum(MEMBER)


def bias(forecast: xr.DataArray, target: xr.DataArray, preserve_dims: Sequence[str] = ()):
    """Returns the mean error of the ensemble mean."""
    return _mean(error(forecast, target), target, preserve_dims)


def mean_squared_error(
    forecast: xr.DataArray, target: xr.DataArray, preserve_dims: Sequence[str] = ()
) -> xr.DataArray:
    """Returns the mean squared error of the ensemble mean."""
    return _mean(error(forecast, target) ** 2, target, preserve_dims)


def rmse(
    forecast: xr.DataArray, target: xr.DataArray, preserve_dims: Sequence[str] = ()
) -> xr.DataArray:
    """Returns the root of the mean squared error of the ensemble mean."""
    return np.sqrt(mean_squared_error(forecast, target, preserve_dims))


def crps(
    forecast: xr.DataArray, target: xr.DataArray, preserve_dims: Sequence[str] = ()
) -> xr.DataArray:
    """Returns the mean fair CRPS; for a single forecast this is the mean absolute error."""
    return _mean(point_crps(forecast, target), target, preserve_dims)


def spread_skill(
    forecast: xr.DataArray, target: xr.DataArray, preserve_dims: Sequence[str] = ()
) -> xr.DataArray:
    """Returns sqrt((M + 1) / M * mean variance) / rmse of the ensemble mean, Fortin et al. (2014).

    It is 1 where target and members are drawn alike; below 1 the ensemble is too sure of itself.
    """
    variance = _mean(point_variance(forecast), target, preserve_dims)
    mse = mean_squared_error(forecast, target, preserve_dims)
    return spread_skill_ratio(variance, mse, forecast.sizes[MEMBER])


def spread_skill_ratio(variance, mse, number: int):
    """Returns the spread/skill of M = `number` members from mean variance and mean square."""
    return np.sqrt((number + 1) / number * variance / mse)


def rank_histogram(
    forecast: xr.DataArray, target: xr.DataArray, preserve_dims: Sequence[str] = ()
) -> xr.DataArray:
    """Returns the share of points at which the target has rank 0..M among the M members.

    A target that equals k members counts 1 / (k + 1) in each of the k + 1 ranks it could have,
    so that ties are split without a draw. Source: Hamill (2001).
    """
    below, equal = point_ranks(forecast, target)
    kept = [d for d in target.dims if d in preserve_dims]
    rest = [d for d in target.dims if d not in preserve_dims]
    counted, below, equal = (
        a.transpose(*kept, *rest).values for a in (target.notnull(), below, equal)
    )
    sizes = [target.sizes[d] for d in kept]
    group = np.arange(math.prod(sizes)).reshape(*sizes, *[1] * len(rest))
    group = np.broadcast_to(group, counted.shape)[counted]
    number = forecast.sizes[MEMBER]
    counts = rank_counts(below[counted], equal[counted], number, group, math.prod(sizes))
    counts = xr.DataArray(counts.reshape(*sizes, number + 1), dims=(*kept, "rank"))
    coordinates = {d: target[d] for d in kept if d in target.coords}
    return (counts / counts.sum("rank")).assign_coords(coordinates, rank=np.arange(number + 1))


def rank_counts(
    below: np.ndarray,
    equal: np.ndarray,
    number: int,
    group: np.ndarray,
    num_groups: int,
    weight: np.ndarray | float = 1.0,
) -> np.ndarray:
    """Returns how many points (group, rank) have each rank 0..M = `number`, ties split evenly.

    Args:
        below: (point,) members below the target.
        equal: (point,) members that equal it.
        number: members.
        group: (point,) group of the point.
        num_groups: number of groups.
        weight: (point,) what a point counts.
    """
    # Each point adds its share from its first rank on and takes it back after its last.
    size = number + 2
    first, share = group * size + below, weight / (equal + 1)
    steps = np.bincount(first, share, num_groups * size)
    steps -= np.bincount(first + equal + 1, share, num_groups * size)
    return steps.reshape(num_groups, size).cumsum(axis=1)[:, :-1]


def _mean(values: xr.DataArray, target: xr.DataArray, preserve_dims: Sequence[str]):
    dims = [d for d in target.dims if d not in preserve_dims]
    counted = target.notnull()
    return values.where(counted, 0).sum(dims, skipna=False) / counted.sum(dims)
