import re
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from atmorep_k import evaluation as scores
from atmorep_k.evaluation.case import Case
from atmorep_k.evaluation.held_out.field_sums import FieldSums, scores_of_field
from atmorep_k.evaluation.held_out.windows import HeldOutWindow
from atmorep_k.evaluation.metrics import (
    CRPS,
    MAE,
    RMSE,
    Bias,
    RankHistogram,
    SpreadSkill,
    in_units,
    statistics_of,
)
from atmorep_k.evaluation.statistics import FairCRPS
from atmorep_k.evaluation.sums import Sums
from atmorep_k.evaluation.weights import GridWeights, PointWeights


class Normalizer:
    def scale(self):
        return 0.0, np.float32(2.0)


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
        (scores.crps(members, target, by), fair),
        (scores.crps(single, target, by), continuous.mae(single, target, preserve_dims=by)),
        (scores.rmse(members, target, by), continuous.rmse(mean, target, preserve_dims=by)),
        (scores.mse(single, target), continuous.mse(single, target)),
        (
            scores.bias(members, target, by),
            continuous.additive_bias(mean, target, preserve_dims=by),
        ),
    ]
    for ours, theirs in pairs:
        xr.testing.assert_allclose(ours, theirs)


def point_crps(members, target):
    weights = PointWeights(np.ones(target.sizes["point"], int))
    return FairCRPS().compute(Case(members.values, target.values, weights))


def test_crps_closed_forms():
    target = xr.DataArray([0.0, 10.0], dims="point")
    members = xr.DataArray([[-1.0, 10.0], [3.0, 10.0]], dims=("number", "point"))
    # mean |x - y| = 2, |x1 - x2| / 2 = 2: a fair score of two members around the truth is 0.
    np.testing.assert_allclose(point_crps(members, target), [0.0, 0.0])
    single = members.isel(number=[0])
    np.testing.assert_allclose(point_crps(single, target), [1.0, 0.0])


def test_crps_is_not_hurt_by_a_large_offset():
    members, target = random_case()
    shifted = scores.crps((members + 3e5).astype("float32"), (target + 3e5).astype("float32"))
    np.testing.assert_allclose(shifted, scores.crps(members, target), rtol=0.02)


def test_reliable_ensemble_has_spread_skill_one_and_flat_ranks():
    rng = np.random.default_rng(1)
    truth = xr.DataArray(rng.normal(size=200_000), dims="point")
    members = xr.DataArray(rng.normal(size=(3, 200_000)), dims=("number", "point"))
    assert abs(float(scores.spread_skill(members, truth)) - 1) < 0.01
    np.testing.assert_allclose(scores.rank_histogram(members, truth), 0.25, atol=0.005)
    narrow = scores.spread_skill(members / 2, truth)
    # Half the spread around the same centre: sqrt(4/3 / 4) / sqrt(1 + 1/12).
    np.testing.assert_allclose(narrow, np.sqrt(4 / 3 / 4 / (1 + 1 / 12)), rtol=0.01)


def test_ties_are_split_evenly():
    target = xr.DataArray([0.0, 5.0], dims="point")
    members = xr.DataArray([[0.0, 1.0], [0.0, 2.0], [9.0, 3.0]], dims=("number", "point"))
    ranks = scores.rank_histogram(members, target, ("point",)).transpose("point", "rank")
    np.testing.assert_allclose(ranks, [[1 / 3, 1 / 3, 1 / 3, 0], [0, 0, 0, 1]])


def test_points_not_hidden_do_not_count_but_a_nan_forecast_does():
    members, target = random_case()
    wrong = members.where(target.notnull(), 1e9)
    for score in (scores.rmse, scores.crps, scores.spread_skill, scores.bias):
        xr.testing.assert_identical(score(wrong, target), score(members, target))
    broken = members.where(target != target.max())
    for score in (scores.rmse, scores.crps, scores.spread_skill, scores.bias):
        assert np.isnan(score(broken, target))


@pytest.mark.parametrize("number", [1, 5])
def test_sums_give_the_scores_of_all_windows_together(number):
    members, target = random_case(number)
    single = members.isel(number=0)
    sums = FieldSums([500, 850])
    for sample in range(target.sizes["sample"]):
        truth, masked = (a.isel(sample=sample).values for a in (target, target.notnull()))
        baselines = {"persistence": single.isel(sample=sample).values}
        window = HeldOutWindow(masked, truth, baselines, Normalizer(), ())
        sums.add(window, members.isel(sample=sample).values)
    for by in ((), ("level",), ("level", "time")):
        found = scores_of_field(sums.data, by)
        for name, forecast in (("ensemble", members), ("persistence", single)):
            one = found.sel(model=name).drop_vars(["model", "level"], errors="ignore")
            np.testing.assert_allclose(one["rmse"], scores.rmse(forecast, target, by))
            np.testing.assert_allclose(one["crps"], scores.crps(forecast, target, by))
            np.testing.assert_allclose(one["bias"], scores.bias(forecast, target, by))
            mse = scores.mse(forecast, target, by)
            np.testing.assert_allclose(one["normalised_mse"], mse / 4)
        if number > 1:
            ratio = found["spread_skill"].sel(model="ensemble")
            np.testing.assert_allclose(ratio, scores.spread_skill(members, target, by))
    assert ("spread_skill" in found) == (number > 1)
    ranks = sums.data["ranks"] / sums.data["ranks"].sum("rank")
    expected = scores.rank_histogram(members, target, ("level",)).transpose("level", "rank")
    np.testing.assert_allclose(ranks, expected)


def test_a_nan_of_one_level_stays_there():
    sums = FieldSums([1, 2])
    members = np.zeros((2, 2, 1, 2, 2))
    members[:, 1] = np.nan
    every = np.ones((2, 1, 2, 2))
    sums.add(HeldOutWindow(every > 0, every, {}, Normalizer(), ()), members)
    rmse = scores_of_field(sums.data, ("level",))["rmse"].sel(model="ensemble")
    assert rmse[0] == 1 and np.isnan(rmse[1])


def test_sums_of_parts_add_up_whatever_weighs_them():
    rng = np.random.default_rng(2)
    members, truth = rng.normal(size=(4, 2, 5, 6)), np.round(rng.normal(size=(2, 5, 6)), 1)
    members[0] = truth  # ties
    counted, area = rng.random(truth.shape) < 0.8, rng.random((5, 1))
    metrics = (RMSE(), MAE(), Bias(), CRPS(), SpreadSkill(), RankHistogram())
    statistics = statistics_of(metrics)
    west = np.arange(6) < 3
    parts = [
        Case.where(counted & half, members, truth, num_axes=1, weight=area)
        for half in (west, ~west)
    ]
    whole = Sums.of(statistics, parts[0]) + Sums.of(statistics, parts[1])
    filled = (np.where(counted, a, 0.0) for a in (members, truth))
    grid = GridWeights((np.broadcast_to(area, truth.shape) * counted)[:, None], counted)
    on_grid = Sums.of(statistics, Case(*filled, grid))
    assert set(whole) == set(on_grid)
    for name, total in on_grid.items():
        np.testing.assert_allclose(whole[name], total[:, 0], rtol=1e-12, err_msg=name)
    for metric in metrics:
        np.testing.assert_allclose(metric.of(whole), metric.of(on_grid)[:, 0], rtol=1e-12)
    with pytest.raises(ValueError, match="ranks"):
        whole + Sums({name: total for name, total in whole.items() if name != "ranks"})


def test_scores_of_unknown_dimensions_are_refused():
    members, target = random_case()
    with pytest.raises(ValueError, match="'lead'"):
        scores.rmse(members, target, ["lead"])


def test_names_tell_whether_a_score_has_units():
    names = ("rmse", "mae", "bias", "crps", "energy_score", "quantile_score_q90")
    assert all(in_units(name) for name in names)
    names = ("normalised_mse", "spread_skill", "acc", "ets_q90", "roc_area_q90", "fss_q90_3")
    assert not any(in_units(name) for name in names)


def test_the_examples_of_the_page_run():
    page = Path(__file__).parents[3] / "docs" / "scores.md"
    names = {}
    first, second = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    exec(first, names)
    assert names["rmse"](names["members"], names["truth"]) == 1
    exec(second, names)
    total = sum(names["sums"][1:], names["sums"][0])
    np.testing.assert_allclose(names["kurtosis"].of(total), 3, atol=0.2)
