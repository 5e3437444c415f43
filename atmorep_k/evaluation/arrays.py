"""Scores of labelled arrays, for notebooks: xarray in and xarray out.

A forecast is an array with or without the dimension `number` (ensemble member); the target has the
same dimensions without `number`. All points count alike. Points where the target is NaN are
skipped; a NaN of the forecast at a point that counts makes the score NaN, so that nothing fails in
silence. `preserve_dims` names the dimensions for which the score is given separately.

Example:
    >>> import xarray as xr
    >>> from atmorep_k.evaluation import crps, rmse
    >>> truth = xr.DataArray([[1.0, 2.0], [3.0, 4.0]], dims=("time", "point"))
    >>> members = xr.concat([truth - 1, truth + 3], "number")
    >>> float(rmse(members, truth))
    1.0
    >>> crps(members, truth, ["time"]).values
    array([0., 0.])
"""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from atmorep_k.evaluation import metrics
from atmorep_k.evaluation.case import Case
from atmorep_k.evaluation.metrics import Metric, statistics_of
from atmorep_k.evaluation.sums import Sums

MEMBER = "number"


def bias(
    forecast: xr.DataArray, target: xr.DataArray, preserve_dims: Sequence[str] = ()
) -> xr.DataArray:
    """Return the mean error of the ensemble mean."""
    return _score(metrics.Bias(), forecast, target, preserve_dims)


def mae(
    forecast: xr.DataArray, target: xr.DataArray, preserve_dims: Sequence[str] = ()
) -> xr.DataArray:
    """Return the mean absolute error of the ensemble mean."""
    return _score(metrics.MAE(), forecast, target, preserve_dims)


def mse(
    forecast: xr.DataArray, target: xr.DataArray, preserve_dims: Sequence[str] = ()
) -> xr.DataArray:
    """Return the mean squared error of the ensemble mean."""
    return _score(metrics.MSE(), forecast, target, preserve_dims)


def rmse(
    forecast: xr.DataArray, target: xr.DataArray, preserve_dims: Sequence[str] = ()
) -> xr.DataArray:
    """Return the root of the mean squared error of the ensemble mean."""
    return _score(metrics.RMSE(), forecast, target, preserve_dims)


def crps(
    forecast: xr.DataArray, target: xr.DataArray, preserve_dims: Sequence[str] = ()
) -> xr.DataArray:
    """Return the mean fair CRPS; the mean absolute error of a single forecast."""
    return _score(metrics.CRPS(), forecast, target, preserve_dims)


def spread_skill(
    forecast: xr.DataArray, target: xr.DataArray, preserve_dims: Sequence[str] = ()
) -> xr.DataArray:
    """Return sqrt((M + 1) / M * mean variance) / rmse of the ensemble mean; NaN of one member.

    It is 1 where target and members are drawn alike; below 1 the ensemble is too sure of itself.
    Source: Fortin et al. (2014).
    """
    return _score(metrics.SpreadSkill(), forecast, target, preserve_dims)


def rank_histogram(
    forecast: xr.DataArray, target: xr.DataArray, preserve_dims: Sequence[str] = ()
) -> xr.DataArray:
    """Return the share `(*preserve_dims, rank)` of points at which the target has each rank.

    A target that equals k members counts 1 / (k + 1) in each of the k + 1 ranks it could have.
    Source: Hamill (2001).
    """
    shares = _score(metrics.RankHistogram(), forecast, target, preserve_dims, ("rank",))
    return shares.assign_coords(rank=np.arange(shares.sizes["rank"]))


def _score(
    metric: Metric,
    forecast: xr.DataArray,
    target: xr.DataArray,
    preserve_dims: Sequence[str],
    more: tuple[str, ...] = (),
) -> xr.DataArray:
    """Return a metric by the preserved dimensions, and `more` of its own."""
    if isinstance(preserve_dims, str):
        preserve_dims = [preserve_dims]
    unknown = [dim for dim in preserve_dims if dim not in target.dims]
    if unknown:
        raise ValueError(f"preserve_dims has {unknown[0]!r}; the target has {list(target.dims)}")
    kept = [dim for dim in target.dims if dim in preserve_dims]
    dims = kept + [dim for dim in target.dims if dim not in preserve_dims]
    members = forecast if MEMBER in forecast.dims else forecast.expand_dims(MEMBER)
    members, target = members.transpose(MEMBER, *dims), target.transpose(*dims)
    counted = target.notnull().values
    case = Case.where(counted, members.values, target.values, num_axes=len(kept))
    values = metric.of(Sums.of(statistics_of([metric]), case))
    coordinates = {dim: target[dim] for dim in kept if dim in target.coords}
    return xr.DataArray(values, coordinates, (*kept, *more))
