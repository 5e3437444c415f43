"""Scores of predictions against a store whose errors are known in closed form."""

import types

import numpy as np
import pytest
import xarray as xr

from atmorep_k.components.normalizers import MonthlyNormalizer
from atmorep_k.data.opening import open_store
from atmorep_k.data.stores.layout import StoreDescription
from atmorep_k.data.stores.statistics import area_weights
from atmorep_k.data.writing.write_store import write_store
from atmorep_k.earth.variables import VariableInfo
from atmorep_k.evaluation.verification import verify
from atmorep_k.fields import FieldSpec, Window
from atmorep_k.figures import maps

LATITUDE, LONGITUDE = np.linspace(80, -80, 9), np.arange(18) * 20.0
TIME = np.datetime64("2020-01-01T00", "ns") + np.arange(24) * np.timedelta64(1, "h")
HOUR = np.timedelta64(1, "h").astype("timedelta64[ns]")


class Model:
    predicted = (FieldSpec("temperature", [500, 850], (1, 1, 1), Window((4, 4, 8))),)
    normalizers = types.MappingProxyType({"temperature": MonthlyNormalizer()})


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Temperature rises by 2 K an hour from noise of one level and two rows, 0 and 1."""
    info = {"temperature": VariableInfo("K", "air_temperature", "air temperature", True)}
    level = np.array([500.0, 700.0, 850.0])
    description = StoreDescription(TIME, level, LATITUDE, LONGITUDE, info, {})
    noise = np.random.default_rng(0).standard_normal((1, 3, 9, 18))
    values = 250 + noise + 2 * np.arange(24).reshape(-1, 1, 1, 1)
    path = tmp_path_factory.mktemp("store") / "s.zarr"
    opened = open_store(write_store(path, description, [{"temperature": values.astype("f4")}]))
    statistics = {"mean": np.full((12, 2), 250.0), "std": np.array([[4.0, 8.0]] * 12)}
    grid = {"latitude": LATITUDE, "longitude": LONGITUDE}
    Model.normalizers["temperature"].load_state(statistics | grid)
    return opened


def prediction(store, offset, times=(3, 9), leads=(1, 2), columns=range(18), rows=range(9)):
    """Returns a prediction: the truth plus an offset (level, lat, lon), members 1 K apart."""
    data = store.dataset()["temperature"].sel(level=[500, 850])
    data = data.isel(latitude=list(rows), longitude=list(columns)).load()
    init, leads = TIME[list(times)], np.array(leads) * HOUR
    known = np.stack([data.reindex(time=t + leads).values for t in init]) + offset
    values = np.stack([known - 1, known, known + 1], axis=2)
    dims = ("time", "prediction_timedelta", "number", "level", "latitude", "longitude")
    longitude = np.unwrap(data["longitude"].values, period=360)
    places = (init, leads, range(3), [500, 850], data["latitude"].values, longitude)
    coordinates = dict(zip(dims, places, strict=True))
    return xr.Dataset({"temperature": (dims, values)}, coordinates, {"task": "forecast"})


def test_errors_count_by_area_and_level(store):
    offset = np.zeros((2, 9, 18))
    offset[0], offset[:, 4] = 3.0, 6.0
    found = verify(prediction(store, offset), Model, store)
    area = area_weights(LATITUDE)
    others = 1 - area[4]
    mse = area[4] * 36 + others * 9 / 2
    normalised = area[4] * (36 / 16 + 36 / 64) / 2 + others * 9 / 16 / 2
    scores = found.scores["temperature"].sel(model="ensemble")
    np.testing.assert_allclose(scores["rmse"], np.sqrt(mse), rtol=1e-5)
    np.testing.assert_allclose(scores["normalised_mse"], normalised, rtol=1e-5)
    np.testing.assert_allclose(
        found.total["temperature"].sel(model="ensemble")["rmse"], np.sqrt(mse), rtol=1e-5
    )


def test_persistence_is_the_last_visible_hour(store):
    found = verify(prediction(store, 0.0), Model, store)
    steady = found.scores["temperature"].sel(model="persistence")
    np.testing.assert_allclose(steady["rmse"], [2, 4], rtol=1e-5)
    total = found.total["temperature"].sel(model="persistence")["rmse"]
    np.testing.assert_allclose(total, np.sqrt(10), rtol=1e-5)


def test_a_region_across_the_meridian_is_compared_with_itself(store):
    shown = prediction(store, 5.0, columns=[16, 17, 0, 1, 2], rows=range(2, 6))
    assert np.all(np.diff(shown["longitude"]) > 0)
    found = verify(shown, Model, store).scores["temperature"]
    np.testing.assert_allclose(found["rmse"].sel(model="ensemble"), 5, rtol=1e-5)
    turned = shown.assign_coords(longitude=shown["longitude"] - 360)
    found = verify(turned, Model, store).scores["temperature"]
    np.testing.assert_allclose(found["rmse"].sel(model="ensemble"), 5, rtol=1e-5)


def test_only_hours_of_the_record_count(store):
    shown = prediction(store, 5.0, times=(22,), leads=(1, 2))
    shown["temperature"] = shown["temperature"].fillna(280.0)
    found = verify(shown, Model, store)
    rmse = found.scores["temperature"]["rmse"].sel(model="ensemble")
    np.testing.assert_allclose(rmse, [5, np.nan], rtol=1e-5)
    beyond = verify(shown.isel(prediction_timedelta=[1]), Model, store)
    assert not beyond.scores and "temperature" in beyond.pictures


def test_only_hidden_points_count(store):
    offset = np.full((2, 9, 18), 2.0)
    shown = prediction(store, offset, times=(4,), leads=(0, 1, 2))
    shown.attrs["task"] = "reconstruct"
    hidden = np.ones((1, 3, 1, 2, 9, 18), bool)
    hidden[:, 0] = False  # visible at first
    hidden[..., :9] = True  # never visible
    shown["temperature"] = shown["temperature"].where(hidden)
    found = verify(shown, Model, store).scores["temperature"]["rmse"]
    np.testing.assert_allclose(found.sel(model="ensemble"), 2, rtol=1e-5)
    half = found.isel(prediction_timedelta=1).sel(model="persistence")
    assert 2 < half < 20  # of the mean, 250 K, where nothing was seen


def test_mean_and_spread_are_enough(store):
    shown = prediction(store, 3.0)
    mean = shown["temperature"].mean("number")
    deviation = shown["temperature"].std("number", ddof=1)
    lean = xr.Dataset({"temperature": mean, "temperature_spread": deviation}, attrs=shown.attrs)
    one, other = verify(shown, Model, store), verify(lean, Model, store)
    xr.testing.assert_allclose(one.total["temperature"], other.total["temperature"])
    ours, theirs = one.pictures["temperature"], other.pictures["temperature"]
    xr.testing.assert_allclose(ours, theirs)
    np.testing.assert_allclose(ours["spread"].isel(time=1), 1, rtol=1e-5)
    assert (ours.attrs["number"], theirs.attrs["number"]) == (3, None)


def test_the_map_shows_the_last_lead_time(store, tmp_path):
    found = verify(prediction(store, 3.0), Model, store)
    picture = found.pictures["temperature"]
    np.testing.assert_array_equal(
        picture["hidden"].all(("level", "latitude", "longitude")), [0, 1, 1]
    )
    figure = maps.prediction_maps(picture, "Forecast")
    assert "2 h after the last visible" in figure.axes[0].get_ylabel()
    assert "level 850" in figure.axes[0].get_ylabel()
    assert [path.name for path in found.draw(tmp_path / "p")] == ["map_forecast_temperature.png"]


def test_a_table_tells_the_scores(store):
    from rich.console import Console

    console = Console(width=100, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(verify(prediction(store, 3.0), Model, store).table())
    words = " ".join(console.export_text().split())
    assert "temperature (K) all 3 3.16" in words
    assert "2 h 3 4" in words
