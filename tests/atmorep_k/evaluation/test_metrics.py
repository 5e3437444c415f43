import numpy as np
import pytest
import xarray as xr

from atmorep_k.evaluation import metrics
from atmorep_k.evaluation.sums import ScoreSums, scores_of

DIMS = ("sample", "level", "time", "latitude", "longitude")


def random_case(number=5, seed=0):
    """Members and target; half of the target's points were not hidden."""
    rng = np.random.default_rng(seed)
    target = xr.DataArray(rng.normal(size=(3, 2, 4, 3, 5)), dims=DIMS)
    members = xr.DataArray(rng.normal(size=(number, *target.shape)), dims=("number", *DIMS))
    return members, target.where(xr.DataArray(rng.random(target.shape) < 0.5, dims=DIMS))


def test_agrees_with_the_scores_library():
    continuous = pytest.importorskip("scores.continuous")
    probability = pytest.importorskip("scores.probability")
    members, target = random_case()
    members.loc[{"number": 1}] = members.sel(number=0)  # members that are equal
    by = ["level"]
    fair = probability.crps_for_ensemble(members, target, "number", method="fair", preserve_dims=by)
    mean = members.mean("number")
    single = members.isel(number=0)
    pairs = [
        (metrics.crps(members, target, by), fair),
        (metrics.crps(single, target, by), continuous.mae(single, target, preserve_dims=by)),
        (metrics.rmse(members, target, by), continuous.rmse(mean, target, preserve_dims=by)),
        (metrics.mean_squared_error(single, target), continuous.mse(single, target)),
        (
            metrics.bias(members, target, by),
            continuous.additive_bias(mean, target, preserve_dims=by),
        ),
    ]
    for ours, theirs in pairs:
        xr.testing.assert_allclose(ours, theirs)


def test_crps_closed_forms():
    target = xr.DataArray([0.0, 10.0], dims="point")
    members = xr.DataArray([[-1.0, 10.0], [3.0, 10.0]], dims=("number", "point"))
    # mean |x - y| = 2, |x1 - x2| / 2 = 2: a fair score of two members around the truth is 0.
    np.testing.assert_allclose(metrics.point_crps(members, target), [0.0, 0.0])
    single = members.isel(number=[0])
    np.testing.assert_allclose(metrics.point_crps(single, target), [1.0, 0.0])


def test_crps_is_not_hurt_by_a_large_offset():
    members, target = random_case()
    shifted = metrics.crps((members + 3e5).astype("float32"), (target + 3e5).astype("float32"))
    np.testing.assert_allclose(shifted, metrics.crps(members, target), rtol=0.02)


def test_reliable_ensemble_has_spread_skill_one_and_flat_ranks():
    rng = np.random.default_rng(1)
    truth = xr.DataArray(rng.normal(size=200_000), dims="point")
    members = xr.DataArray(rng.normal(size=(3, 200_000)), dims=("number", "point"))
    assert abs(float(metrics.spread_skill(members, truth)) - 1) < 0.01
    np.testing.assert_allclose(metrics.rank_histogram(members, truth), 0.25, atol=0.005)
    narrow = metrics.spread_skill(members / 2, truth)
    # Half the spread around the same centre: sqrt(4/3 / 4) / sqrt(1 + 1/12).
    np.testing.assert_allclose(narrow, np.sqrt(4 / 3 / 4 / (1 + 1 / 12)), rtol=0.01)


def test_ties_are_split_evenly():
    target = xr.DataArray([0.0, 5.0], dims="point")
    members = xr.DataArray([[0.0, 1.0], [0.0, 2.0], [9.0, 3.0]], dims=("number", "point"))
    ranks = metrics.rank_histogram(members, target, ("point",)).transpose("point", "rank")
    np.testing.assert_allclose(ranks, [[1 / 3, 1 / 3, 1 / 3, 0], [0, 0, 0, 1]])


def test_points_not_hidden_do_not_count_but_a_nan_forecast_does():
    members, target = random_case()
    wrong = members.where(target.notnull(), 1e9)
    for score in (metrics.rmse, metrics.crps, metrics.spread_skill, metrics.bias):
        xr.testing.assert_identical(score(wrong, target), score(members, target))
    broken = members.where(target != target.max())
    for score in (metrics.rmse, metrics.crps, metrics.spread_skill, metrics.bias):
        assert np.isnan(score(broken, target))


@pytest.mark.parametrize("number", [1, 5])
def test_sums_give_the_scores_of_all_windows_together(number):
    members, target = random_case(number)
    single = members.isel(number=0)
    sums = ScoreSums([500, 850], 4, ["persistence"], number)
    for sample in range(target.sizes["sample"]):
        hidden = target.isel(sample=sample).notnull().values
        forecasts = {
            "ensemble": members.isel(sample=sample).values,
            "persistence": single.isel(sample=sample).values,
        }
        sums.add(hidden, target.isel(sample=sample).values, forecasts, np.float32(2.0))
    for by in ((), ("level",), ("level", "time")):
        found = scores_of(sums.data, by)
        for name, forecast in (("ensemble", members), ("persistence", single)):
            one = found.sel(model=name).drop_vars(["model", "level"], errors="ignore")
            np.testing.assert_allclose(one["rmse"], metrics.rmse(forecast, target, by))
            np.testing.assert_allclose(one["crps"], metrics.crps(forecast, target, by))
            np.testing.assert_allclose(one["bias"], metrics.bias(forecast, target, by))
            mse = metrics.mean_squared_error(forecast, target, by)
            np.testing.assert_allclose(one["normalised_mse"], mse / 4)
        if number > 1:
            ratio = found["spread_skill"].sel(model="ensemble")
            np.testing.assert_allclose(ratio, metrics.spread_skill(members, target, by))
    assert ("spread_skill" in found) == (number > 1)
    ranks = sums.data["ranks"] / sums.data["ranks"].sum("rank")
    expected = metrics.rank_histogram(members, target, ("level",)).transpose("level", "rank")
    np.testing.assert_allclose(ranks, expected)


def test_a_nan_of_one_level_stays_there():
    sums = ScoreSums([1, 2], 1, [], 2)
    members = np.zeros((2, 2, 1, 2, 2))
    members[:, 1] = np.nan
    sums.add(np.ones((2, 1, 2, 2), bool), np.ones((2, 1, 2, 2)), {"ensemble": members}, 1.0)
    rmse = scores_of(sums.data, ("level",))["rmse"].sel(model="ensemble")
    assert rmse[0] == 1 and np.isnan(rmse[1])
