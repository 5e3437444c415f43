"""Every score from the sums is what a library, or a closed form, says of the same points."""

import dataclasses
import functools
import operator
import types

import numpy as np
import pytest
import xarray as xr
from scipy.spatial.distance import cdist, pdist

from atmorep_k.evaluation.events import Event
from atmorep_k.evaluation.metrics import scores_of, statistics_of
from atmorep_k.evaluation.predictions.events import events_of_truth
from atmorep_k.evaluation.predictions.field_scores import QUANTILES, field_metrics
from atmorep_k.evaluation.sums import Sums
from atmorep_k.evaluation.weights import GridWeights

pytest.importorskip("scores")

PLACE = ("latitude", "longitude")
POINTS = ("level", *PLACE)
EVENT = Event("q90", np.array([0.5, 1.0]))


def score(*cases, event=EVENT):
    metrics = field_metrics(cases[0].number, [event], cases[0].truth.shape[1:])
    sums = [Sums.of(statistics_of(metrics), case) for case in cases]
    total = functools.reduce(operator.add, sums)
    return {name: values[:, 0] for name, values in scores_of(total, metrics).items()}


def masked(case):
    """Forecast and truth with NaN where a point does not count, and the weights."""
    counted = xr.DataArray(case.weights.counted, dims=POINTS)
    dims = ("number", *POINTS)
    forecast = xr.DataArray(case.members, dims=dims).where(counted)
    forecast = forecast if case.number > 1 else forecast.isel(number=0)
    truth = xr.DataArray(case.truth, dims=POINTS).where(counted)
    return forecast, truth, xr.DataArray(case.weights.weight[:, 0], dims=POINTS)


def test_means_over_the_area_agree_with_the_library(make_case):
    from scores import continuous, probability

    case = make_case()
    found, (forecast, truth, weights) = score(case), masked(case)
    mean, options = forecast.mean("number"), {"reduce_dims": PLACE, "weights": weights}
    expected = {
        "rmse": continuous.rmse(mean, truth, **options),
        "mae": continuous.mae(mean, truth, **options),
        "bias": continuous.additive_bias(mean, truth, **options),
        "crps": probability.crps_for_ensemble(forecast, truth, "number", method="fair", **options),
    }
    for share in QUANTILES:
        quantile = forecast.quantile(share, "number", skipna=False)
        expected[f"quantile_score_q{100 * share:g}"] = continuous.quantile_score(
            quantile, truth, share, **options
        )
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, err_msg=name)


def test_a_single_forecast_has_the_absolute_error_as_its_crps(make_case):
    found = score(make_case(number=1))
    np.testing.assert_allclose(found["crps"], found["mae"])
    np.testing.assert_allclose(found["energy_score"], found["rmse"])
    assert "spread_skill" not in found


def test_acc_is_the_correlation_of_anomalies_about_zero(make_case):
    case = make_case()
    found = score(case)["acc"]
    forecast, truth = case.members.mean(axis=0) - case.climatology, case.truth - case.climatology
    for level in range(2):
        # With each point and its mirror image the mean is 0: Pearson's correlation is ours.
        pair = [np.concatenate([a[level].ravel(), -a[level].ravel()]) for a in (forecast, truth)]
        weights = np.tile(case.weights.weight[level, 0].ravel(), 2)
        covariance = np.cov(*pair, aweights=weights)
        expected = covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])
        np.testing.assert_allclose(found[level], expected)


def test_acc_is_a_mean_over_times(make_case):
    cases = [make_case(seed=seed) for seed in range(3)]
    single = [score(case)["acc"] for case in cases]
    np.testing.assert_allclose(score(*cases)["acc"], np.mean(single, axis=0))


def test_energy_score_of_all_pairs(make_case):
    case = make_case()
    found = score(case)["energy_score"]
    for level in range(2):
        weight = case.weights.weight[level, 0] / case.weights.weight[level, 0].sum()
        scaled = (case.members[:, level] * np.sqrt(weight)).reshape(5, -1)
        truth = (case.truth[level] * np.sqrt(weight)).reshape(1, -1)
        expected = cdist(scaled, truth).mean() - pdist(scaled).mean() / 2
        np.testing.assert_allclose(found[level], expected)


def test_equitable_threat_score_agrees_with_the_library(make_case):
    from scores.categorical import ThresholdEventOperator

    case = make_case(uniform=True)
    found, (forecast, truth, _) = score(case)["ets_q90"], masked(case)
    for level, threshold in enumerate(EVENT.threshold):
        operator = ThresholdEventOperator(default_event_threshold=threshold)
        table = operator.make_contingency_manager(
            forecast.mean("number").isel(level=level), truth.isel(level=level)
        )
        expected = table.transform().equitable_threat_score()
        np.testing.assert_allclose(found[level], expected)


def test_thresholds_part_the_area_of_the_truth():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(32, 2, 11, 12))
    truth[0] = np.nan
    area = np.broadcast_to(np.linspace(0, 1, 11)[:, None] ** 3, (11, 12))
    truth += 3 * area  # what is large lies where the area is
    field = types.SimpleNamespace(
        valid_times=lambda: np.arange(32),
        read=lambda hours: truth[hours],
        levels=np.arange(2),
        around=True,
    )
    events = events_of_truth(field, area, (0.5, 0.9))
    assert [event.name for event in events] == ["q50", "q90"]
    for event, share in zip(events, (0.5, 0.1), strict=True):
        above = truth > event.threshold[:, None, None]
        found = (above * area).sum(axis=(0, 2, 3)) / (np.isfinite(truth) * area).sum(axis=(0, 2, 3))
        np.testing.assert_allclose(found, share, rtol=0.05)


def test_area_under_the_roc_curve_agrees_with_the_library(make_case):
    from scores.probability import roc_auc

    for number in (1, 5):
        case = make_case(number=number)
        found, (forecast, truth, weights) = score(case)["roc_area_q90"], masked(case)
        for level, threshold in enumerate(EVENT.threshold):
            share = (forecast.isel(level=level) > threshold).astype(float)
            share = share.mean("number") if number > 1 else share
            event = (truth.isel(level=level) > threshold).astype(float)
            there = truth.isel(level=level).notnull()
            expected = roc_auc(
                share.where(there), event.where(there), weights=weights.isel(level=level)
            )
            np.testing.assert_allclose(found[level], expected)


@pytest.mark.parametrize("width", [3, 9])
def test_fractions_skill_score_agrees_with_the_library(make_case, width):
    from scores.spatial import fss_2d

    cases = [make_case(number=1, counting=2, uniform=True, seed=seed) for seed in range(2)]
    found = score(*cases)[f"fss_q90_{width}"]
    arrays = list(zip(*map(masked, cases), strict=True))
    forecast, truth = (xr.concat(a, "time") for a in arrays[:2])
    for level, threshold in enumerate(EVENT.threshold):
        expected = fss_2d(
            forecast.isel(level=level),
            truth.isel(level=level),
            event_threshold=threshold,
            window_size=(width, width),
            spatial_dims=PLACE,
            reduce_dims=["time", *PLACE],
        )
        np.testing.assert_allclose(found[level], expected)


def test_neighbourhoods_go_round_the_globe_but_over_no_point_that_does_not_count(make_case):
    around = dataclasses.replace(EVENT, around=True)
    case = make_case(counting=0.97)
    weights = case.weights
    turned = dataclasses.replace(
        case,
        **{n: np.roll(getattr(case, n), 5, -1) for n in ("members", "truth", "climatology")},
        weights=GridWeights(*(np.roll(a, 5, -1) for a in (weights.weight, weights.counted))),
    )
    name = "fss_q90_3"
    whole = score(case, event=around)[name]
    np.testing.assert_allclose(score(turned, event=around)[name], whole)
    assert not np.allclose(score(turned)[name], score(case)[name])
    wrong = np.where(weights.counted, case.members, 1e9)
    found = score(dataclasses.replace(case, members=wrong), event=around)[name]
    np.testing.assert_allclose(found, whole)


def test_a_perfect_and_a_climatological_forecast(make_case):
    case = make_case()
    perfect = score(case.beside(case.truth[None]))
    for name in ("rmse", "mae", "bias", "crps", "energy_score", "quantile_score_q90"):
        np.testing.assert_allclose(perfect[name], 0, atol=1e-12, err_msg=name)
    for name in ("acc", "ets_q90", "roc_area_q90", "fss_q90_3"):
        np.testing.assert_allclose(perfect[name], 1, err_msg=name)
    usual = score(case.beside(case.climatology[None]))
    np.testing.assert_array_equal(usual["acc"], 0)
    never = score(case.beside(np.full((1, *case.truth.shape), -9.0)))
    np.testing.assert_allclose(never["ets_q90"], 0, atol=1e-12)
    np.testing.assert_allclose(never["roc_area_q90"], 0.5)
    np.testing.assert_allclose(never["fss_q90_3"], 0, atol=1e-12)


def test_members_drawn_like_the_truth_have_a_spread_like_their_error(make_case):
    cases = []
    for seed in range(30):
        case, rng = make_case(), np.random.default_rng(seed)
        values = rng.normal(size=(6, *case.truth.shape))
        cases.append(dataclasses.replace(case, members=values[1:], truth=values[0]))
    np.testing.assert_allclose(score(*cases)["spread_skill"], 1, atol=0.04)
