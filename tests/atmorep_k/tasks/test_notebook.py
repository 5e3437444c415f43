"""Windows, predictions and rollouts as a notebook uses them, against closed forms."""

import itertools

import numpy as np
import pytest
import xarray as xr
from drifting import STEPS, Drifts

import atmorep_k
from atmorep_k.components.maskings import RandomTokens, TemporalInterpolation
from atmorep_k.errors import UserError

from known_truth import FIELDS, HOUR, write

TIME = np.datetime64("2020-02-01T12", "ns")
TOKEN = FIELDS["temperature"].token_size[0]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return str(write(tmp_path_factory.mktemp("store") / "global.zarr"))


@pytest.fixture(scope="module")
def windows(store):
    return atmorep_k.Windows(store, Drifts())


@pytest.fixture(scope="module")
def truth(store):
    return xr.open_zarr(store, chunks=None, consolidated=False)["temperature"].load()


def _std(windows):
    _, std = windows.model.normalizers["temperature"].scale(
        np.array([TIME]), np.arange(1), np.arange(1)
    )
    return xr.DataArray(std[:, 0, 0, 0], dims="level")


def _at(truth, found, time):
    place = {"latitude": found["latitude"], "longitude": found["longitude"] % 360}
    return truth.sel(level=[500, 850], time=time, **place).drop_vars("longitude")


@pytest.mark.parametrize("longitude", [90.0, 3.0, -179.0, 357.0])
def test_the_window_has_the_place_in_its_middle_and_shows_the_hours_up_to_the_time(
    windows, truth, longitude
):
    sample = windows.at(TIME, 20, longitude)
    times, latitude, _ = windows.opened.coordinates(sample.position)
    np.testing.assert_array_equal(times, TIME + np.arange(1 + TOKEN - 6, 1 + TOKEN) * HOUR)
    found = atmorep_k.predict(windows.model, sample)
    # Half a spacing (22.5 x 18 degrees) at most.
    assert abs(latitude.mean() - 20) <= 11.25
    middle = found["longitude"].values.mean()
    assert abs((middle - longitude + 180) % 360 - 180) <= 9
    known = _at(truth, found, times).transpose("level", "time", ...)
    np.testing.assert_array_equal(sample.cubes["temperature"], known)


def test_a_forecast_is_labelled_in_physical_units_and_nan_where_nothing_was_masked(windows, truth):
    found = atmorep_k.predict(windows.model, windows.at(str(TIME), 20, 90))
    assert found["temperature"].dims == ("number", "level", "time", "latitude", "longitude")
    assert found["temperature"].sizes["number"] == 3
    assert found["temperature"].attrs["units"] == "K"
    seen = found.sel(time=slice(None, TIME))["temperature"]
    assert seen.sizes["time"] == 6 - TOKEN and seen.isnull().all()
    ahead = found.sel(time=slice(TIME + HOUR, None))["temperature"]
    moved = (ahead - _at(truth, found, TIME).drop_vars("time")) / _std(windows)
    expected = xr.DataArray(STEPS, dims="number") + xr.zeros_like(moved)
    np.testing.assert_allclose(moved, expected.transpose(*moved.dims), atol=2e-4)


def test_any_masking_may_be_asked(windows):
    sample = windows.at(TIME, 20, 90)
    masking = RandomTokens((0.5, 0.5), hidden=1.0, noised=0.0, coarsened=0.0)
    one, same, other = (
        atmorep_k.predict(_Zeros(), sample, masking=masking, seed=n) for n in (0, 0, 1)
    )
    xr.testing.assert_identical(one, same)
    assert float(one["temperature"].notnull().mean()) == pytest.approx(0.5)
    assert not one["temperature"].isnull().equals(other["temperature"].isnull())
    middle = atmorep_k.predict(_Zeros(), sample, masking=TemporalInterpolation())
    hours = middle["temperature"].notnull().all(("number", "level", "latitude", "longitude"))
    assert hours.values.tolist() == [False, False, True, True, False, False]


class _Zeros(Drifts):
    """Predicts the climatology; has no statistics of its own."""

    def __init__(self):
        super().__init__()
        for normalizer in self.normalizers.values():
            normalizer.load_state(
                {
                    "mean": np.full((12, 2), 270.0),
                    "std": np.ones((12, 2)),
                    "latitude": np.linspace(90, -90, 9),
                    "longitude": np.arange(20) * 18.0,
                }
            )

    def predict_on_batch(self, inputs):
        index = inputs["temperature/masked_index"]
        return {"temperature": np.zeros((*index.shape, 1, 8), np.float32)}


def test_a_rollout_goes_beyond_the_record_by_the_mean_of_each_forecast(windows, truth):
    last = truth["time"].values[-1]
    steps = atmorep_k.rollout_steps(windows.model, windows.at(last, 20, 90))
    for number, found in enumerate(itertools.islice(steps, 5)):
        ahead = found["temperature"].dropna("time")
        hours = last + (number * TOKEN + 1 + np.arange(TOKEN)) * HOUR
        np.testing.assert_array_equal(ahead["time"], hours)
        moved = (ahead - _at(truth, found, last).drop_vars("time")) / _std(windows)
        expected = number * STEPS.mean() + xr.DataArray(STEPS, dims="number")
        expected = (expected + xr.zeros_like(moved)).transpose(*moved.dims)
        np.testing.assert_allclose(moved, expected, atol=1e-3)


def test_two_tokens_at_once(windows, truth):
    steps = atmorep_k.rollout_steps(windows.model, windows.at(TIME, 20, 90, ahead=2), tokens=2)
    first, second = itertools.islice(steps, 2)
    assert first["temperature"].dropna("time").sizes["time"] == 2 * TOKEN
    assert second["temperature"].dropna("time")["time"].values[0] == TIME + (2 * TOKEN + 1) * HOUR


@pytest.mark.parametrize(
    ("place", "options", "message"),
    [
        ((TIME, 20, 90), {"ahead": 3}, "ahead must be 0 to 2, for this model, not 3"),
        (("2020-03-01", 20, 90), {}, "which is not in .*; it holds 2020-01-31T12:00 to"),
        (("2020-01-31T13", 20, 90), {}, "needs 2020-01-31T10:00, which is not in"),
        (("soon", 20, 90), {}, "'soon' is"),
    ],
)
def test_mistakes(windows, place, options, message):
    with pytest.raises(UserError, match=message):
        windows.at(*place, **options)


def test_a_visible_hour_without_values_is_refused(windows, truth):
    sample = windows.at(truth["time"].values[-1], 20, 90, ahead=2)
    with pytest.raises(UserError, match="'temperature' has no values at 2020-02-02T00:00"):
        atmorep_k.predict(windows.model, sample)
