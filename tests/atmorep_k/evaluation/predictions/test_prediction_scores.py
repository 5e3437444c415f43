"""Scores of predictions whose errors are known, against a store of temperature that rises."""

import numpy as np
import pytest
import xarray as xr

from atmorep_k.data.stores.statistics import area_weights
from atmorep_k.errors import UserError
from atmorep_k.evaluation.baselines import Climatology
from atmorep_k.evaluation.predictions.evaluate import evaluate

pytest.importorskip("scores")


def of(found, score, model="prediction", field="temperature", **place):
    return found[field].sel(score=score, model=model, **{"region": "all", **place}).values


def test_errors_count_by_area_in_each_level_lead_time_and_region(store, predicted):
    error = np.zeros((2, 2, 2, 11, 12))
    error[:, 0, 0] = 3.0
    error[0, 1, 1, 5], error[1, 1, 1, 5] = 4.0, -2.0
    found = evaluate(predicted(error), store, regions=[(-20, 20, 0, 360)])
    rows = area_weights(store.latitude)
    square, belt = rows[5] * 10, rows[5] / rows[4:7].sum()
    np.testing.assert_allclose(of(found, "rmse"), [[3, 0], [0, np.sqrt(square)]], atol=1e-5)
    np.testing.assert_allclose(of(found, "bias"), [[3, 0], [0, rows[5]]], atol=1e-5)
    np.testing.assert_allclose(of(found, "mae"), [[3, 0], [0, 3 * rows[5]]], atol=1e-5)
    there = of(found, "bias", region="-20 20 0 360")
    np.testing.assert_allclose(there, [[3, 0], [0, belt]], atol=1e-5)
    np.testing.assert_allclose(of(found, "acc", level=850)[0], 1, rtol=1e-5)
    assert "temperature_low" not in found  # of two times there is no interval


def test_baselines_have_their_errors(store, predicted):
    shown = predicted(0.0, leads=(1, 2, 3), task="interpolate")
    found = evaluate(shown, store, climatology=("2020-01-02", "2020-01-02"))
    np.testing.assert_allclose(of(found, "rmse", "persistence"), [[2, 4, 6]] * 2, rtol=1e-5)
    np.testing.assert_allclose(of(found, "rmse", "linear_interpolation"), 0, atol=1e-4)
    # The same hour of another day, 24 hours away.
    np.testing.assert_allclose(of(found, "rmse", "climatology"), 48, rtol=1e-5)
    np.testing.assert_allclose(of(found, "acc", "climatology"), 0)
    gone = evaluate(predicted(0.0, task="reconstruct"), store)
    assert gone["model"].values.tolist() == ["prediction", "climatology"]
    uneven = evaluate(predicted(0.0, leads=(1, 3), task="interpolate"), store)
    assert "linear_interpolation" not in uneven["model"].values


def test_the_climatology_is_the_mean_of_the_month_and_hour(store, predicted):
    found = evaluate(predicted(0.0, times=(30,)), store)
    climatology = Climatology.from_store(store, "temperature", [500.0, 850.0], np.arange(72), [1])
    times = store.time[[31, 32]]
    expected = climatology.window(times, np.arange(11), np.arange(12))
    truth = predicted(0.0, times=(30,))["temperature"].values[0].swapaxes(0, 1)
    difference = (expected - truth).mean(axis=(-1, -2)) + 0 * truth[..., 0, 0]
    np.testing.assert_allclose(of(found, "bias", "climatology"), difference, atol=1e-4)


def test_only_points_with_a_truth_and_a_value_count(store, predicted):
    error = np.full((2, 2, 2, 11, 12), 5.0)
    shown = predicted(error, times=(3, 70), leads=(1, 2))
    shown["temperature"] = shown["temperature"].fillna(0.0)  # beyond the end of the store
    shown["temperature"][0, 0, 0, :6] = np.nan  # was visible
    shown["temperature"][0, 0, 0, 6:] += 2.0
    found = evaluate(shown, store)
    assert found["temperature"].attrs["times_scored"] == 2
    share = 1 - 6 / 11 / 2 / 3  # rows of a level of a lead time of three in the record
    np.testing.assert_allclose(found["temperature"].attrs["share_predicted"], share)
    half = area_weights(store.latitude)
    seven, five = half[6:].sum() * 49, half.sum() * 25
    mean = (seven + five) / (half[6:].sum() + half.sum())
    np.testing.assert_allclose(of(found, "rmse")[0], [np.sqrt(mean), 5], rtol=1e-5)
    one = evaluate(shown.isel(time=[0]), store)
    np.testing.assert_allclose(of(one, "rmse")[1], 5, rtol=1e-5)


def test_what_the_model_saw_does_not_count(store, predicted):
    error = np.zeros((11, 12))
    error[4:] = 3.0
    shown = predicted(error, task="infill")
    hidden = xr.zeros_like(shown["temperature"], dtype=bool)
    hidden[..., 4:, :] = True
    found = evaluate(shown.assign(temperature_hidden=hidden), store)
    assert list(found["model"].values) == ["prediction", "climatology"]
    np.testing.assert_allclose(of(found, "rmse"), 3, rtol=1e-5)


def test_what_the_order_of_a_file_is_makes_no_difference(store, predicted):
    rng = np.random.default_rng(0)
    shown = predicted(rng.normal(size=(2, 2, 3, 2, 11, 12)), number=3)
    found = evaluate(shown, store)
    other = shown.transpose("latitude", "longitude", "level", "number", ...)
    other = other.isel(latitude=slice(None, None, -1), level=[1, 0])
    other = other.assign_coords(longitude=(other["longitude"] + 180) % 360 - 180)
    hours = ("prediction_timedelta", [1, 2], {"units": "hours"})
    other = other.assign_coords(prediction_timedelta=hours).rename(number="realization")
    again = evaluate(other.sortby("longitude"), store)
    for name in ("temperature", "temperature_ranks", "temperature_spectra"):
        xr.testing.assert_allclose(again[name].sortby("level"), found[name])


def test_an_ensemble_has_ranks_spectra_and_intervals(store, predicted):
    rng = np.random.default_rng(1)
    draws = rng.normal(size=(10, 2, 4, 11, 12))
    shown = predicted(draws, times=range(10), number=4, field="2m_temperature")
    found = evaluate(shown, store)
    assert found["2m_temperature"].dims == ("score", "model", "prediction_timedelta", "region")
    shares = found["2m_temperature_ranks"].sel(region="all")
    np.testing.assert_allclose(shares.sum("rank"), 1)
    assert shares.isel(rank=[0, -1]).min() > 0.05
    low, value, high = (
        found[f"2m_temperature{end}"].sel(model="ensemble") for end in ("_low", "", "_high")
    )
    assert (low < value).all() and (value < high).all()
    # The mean of four members that scatter by 1 K about the truth.
    np.testing.assert_allclose(of(found, "rmse", "ensemble", "2m_temperature"), 0.5, rtol=0.05)
    spectra = found["2m_temperature_spectra"].isel(wavenumber=slice(1, None)).sum("wavenumber")
    assert (spectra.sel(of="members") > spectra.sel(of="truth")).all()


def test_ranks_count_by_area(store, predicted):
    error = np.full((11, 12), -1.0)
    error[:3] = 1.0  # all members are too warm: the truth has the first rank
    found = evaluate(predicted(error, number=2), store, regions=[(20, 90, 0, 360)])
    rows = area_weights(store.latitude)
    first, north = rows[:3].sum(), rows[:3].sum() / rows[:4].sum()
    shares = found["temperature_ranks"].isel(level=0, prediction_timedelta=0)
    np.testing.assert_allclose(shares, [[first, 0, 1 - first], [north, 0, 1 - north]])


def test_a_region_has_no_spectra_and_is_found_across_the_meridian(store, predicted):
    shown = predicted(5.0).isel(longitude=[10, 11, 0, 1], latitude=slice(3, 8))
    shown = shown.assign_coords(longitude=[-60.0, -30.0, 0.0, 30.0])
    found = evaluate(shown, store)
    np.testing.assert_allclose(of(found, "rmse"), 5, rtol=1e-5)
    assert "temperature_spectra" not in found


def mistake(change, **options):
    return lambda shown: (change(shown), options)


MISTAKES = {
    "unknown field of .*temperatur'; did you mean 'temperature'": mistake(
        lambda p: p.rename(temperature="temperatur")
    ),
    "unknown field of the prediction 'wind'": mistake(lambda p: p, fields=["wind"]),
    "temperature has the level 600 .* it has 500, 850, 925": mistake(
        lambda p: p.assign_coords(level=[500.0, 600.0])
    ),
    "temperature has no levels in the prediction but levels in": mistake(
        lambda p: p.isel(level=0, drop=True)
    ),
    "in degC in the prediction but in K in": mistake(
        lambda p: p.assign(temperature=p["temperature"].assign_attrs(units="degC"))
    ),
    "the latitude 76 of the prediction is not on the grid": mistake(
        lambda p: p.assign_coords(latitude=[76.0, *p["latitude"].values[1:]])
    ),
    "the prediction repeats a longitude": mistake(
        lambda p: p.assign_coords(longitude=[*p["longitude"].values[:-1], 360.0])
    ),
    "for hours from 2021-01-01T01 to": mistake(
        lambda p: p.assign_coords(time=p["time"] + np.timedelta64(366, "D"))
    ),
    "the region 40 44 0 20 contains no point": mistake(lambda p: p, regions=[(40, 44, 0, 20)]),
    "a region needs": mistake(lambda p: p, regions=[(50, 40, 0, 20)]),
    "it needs the dimensions": mistake(lambda p: p.rename(prediction_timedelta="step")),
    "for a climatology; it has 2020-01-01T00 to": mistake(
        lambda p: p, climatology=("1999", "2000")
    ),
    "prediction_timedelta needs units of time": mistake(
        lambda p: p.assign_coords(prediction_timedelta=[1, 2])
    ),
    "a block must have at least 1 time": mistake(lambda p: p, block=0),
    "at no point do temperature": mistake(lambda p: p * np.nan),
}


@pytest.mark.parametrize("words", MISTAKES)
def test_a_mistake_is_one_sentence(store, predicted, words):
    shown, options = MISTAKES[words](predicted(0.0, times=(0,)))
    with pytest.raises(UserError, match=words) as error:
        evaluate(shown, store, **options)
    assert "\n" not in str(error.value)


def test_fields_are_scored_each_by_itself(store, predicted):
    rng = np.random.default_rng(2)
    levels = predicted(rng.normal(size=(2, 2, 2, 11, 12)))
    surface = predicted(rng.normal(size=(2, 2, 11, 12)), field="2m_temperature")
    both = evaluate(xr.merge([levels, surface], combine_attrs="override"), store)
    for shown in (levels, surface):
        for name, values in evaluate(shown, store).items():
            xr.testing.assert_identical(both[name], values)


def test_a_time_before_the_store_has_no_persistence_and_does_not_count(store, predicted):
    hour = np.timedelta64(1, "h")
    shown = predicted(5.0, times=(0, 3))
    early = shown.isel(time=[0]).assign_coords(
        time=shown["time"][:1] - hour, prediction_timedelta=shown["prediction_timedelta"] + hour
    )
    with pytest.raises(UserError, match="persistence"):
        evaluate(early, store)
    found = evaluate(early.assign_attrs(task="reconstruct"), store)
    np.testing.assert_allclose(of(found, "rmse"), 5, rtol=1e-5)
