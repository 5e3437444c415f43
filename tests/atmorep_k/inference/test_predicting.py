"""Predictions of whole grids: closed forms with models that know the answer, and real ones."""

import os

import numpy as np
import pytest
import xarray as xr

import atmorep_k
from atmorep_k.data.opening import open_store
from atmorep_k.errors import UserError
from atmorep_k.evaluation.verification import verify
from atmorep_k.fields import FieldSpec, Window
from atmorep_k.inference.canvas import Canvas

from known_truth import FIELDS, HOUR, WINDOW, Answers, members, tell_the_truth, values_of, write


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return str(write(tmp_path_factory.mktemp("store") / "global.zarr"))


@pytest.fixture(autouse=True)
def truth(monkeypatch):
    tell_the_truth(monkeypatch)


CASES = [
    {},
    {"overlap": (1, 2)},
    {"overlap": (1, 1), "region": (-90, 45, 300, 120)},
    {"region": (0, 90, -180, 0), "overlap": (0, 2)},
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_model_that_knows_the_truth_gives_it_back_everywhere(store, case):
    model = Answers(["temperature"], members)
    times = ["2020-02-01T00", "2020-01-31T20"]
    found = atmorep_k.forecast(model, store, times, tokens=2, batch_size=4, **case)
    np.testing.assert_array_equal(
        found["time"], np.array(["2020-01-31T20", "2020-02-01T00"], "datetime64[ns]")
    )
    np.testing.assert_array_equal(found["prediction_timedelta"] / HOUR, [1, 2, 3, 4])
    np.testing.assert_array_equal(found["level"], [500, 850])
    assert np.all(np.diff(found["longitude"]) > 0)
    expected = values_of(store, "temperature", found)[:, :, [0, 2]]
    found = found["temperature"]
    assert found.dims[:3] == ("time", "prediction_timedelta", "number")
    assert found.notnull().all()
    np.testing.assert_allclose(found.isel(number=1), expected, atol=1e-4)


def test_a_constant_stays_constant(store):
    model = Answers(["temperature"], lambda truth: np.full_like(members(truth), 0.5))
    found = atmorep_k.forecast(model, store, ["2020-02-01T06"], overlap=(1, 2))["temperature"]
    mean, std = (a[:, :, 0, 0] for a in model.normalizers["temperature"].scale(
        np.array(["2020-02-01"], "datetime64[ns]"), np.arange(1), np.arange(1)
    ))  # fmt: skip
    expected = (np.float32(0.5) * std + mean).reshape(1, 1, 1, 2, 1, 1)
    np.testing.assert_array_equal(found, np.broadcast_to(expected, found.shape))


def test_size_of_batches_and_order_make_no_difference(store):
    def scrambled(truth):  # depends on the window alone
        return np.sin(members(truth) * 3 + truth.sum(axis=(1, 2, 3)).reshape(-1, 1, 1, 1, 1))

    times = ["2020-02-01T00", "2020-01-31T20"]
    options = {"overlap": (1, 2), "tokens": 1}
    model = Answers(["temperature"], scrambled)
    first = atmorep_k.forecast(model, store, times, batch_size=1, **options)
    for size in (3, 7, 500):
        other = atmorep_k.forecast(model, store, times[::-1], batch_size=size, **options)
        xr.testing.assert_identical(first, other)
    alone = atmorep_k.forecast(model, store, times[:1] * 2, **options)
    xr.testing.assert_identical(alone, first.isel(time=[1]))


def test_the_order_in_which_windows_are_added_makes_no_difference():
    field, rng = FIELDS["temperature"], np.random.default_rng(0)
    windows = [
        (np.ones((2, 6, 4, 8), bool), rng.random((3, 2, 6, 4, 8), np.float32), rng.random((4, 8)))
        for _ in range(4)
    ]
    results = []
    for order in ([0, 1, 2, 3], [3, 1, 0, 2]):
        canvas = Canvas(field, np.array([4, 5]), 3, (6, 10))
        for number in order:
            place = number % 2 * 2 + np.arange(4), number // 2 * 2 + np.arange(8)
            canvas.add(*windows[number], *place)
        results.append(canvas.members())
    np.testing.assert_array_equal(*results)


def test_shapes_of_batches_never_change(store):
    sizes = []

    def answer(truth):
        sizes.append(len(truth))
        return members(truth)

    model = Answers(["temperature"], answer)
    atmorep_k.forecast(model, store, ["2020-02-01T00"], batch_size=4)
    assert sizes == [4, 4, 4]  # 3 x 3 windows
    sizes.clear()
    atmorep_k.forecast(model, store, ["2020-02-01T00"], batch_size=100)
    assert sizes == [9]


def test_fields_of_other_levels_and_longer_tokens(store):
    model = Answers(["temperature", "2m_temperature", "specific_humidity"], members)
    found = atmorep_k.forecast(model, store, ["2020-02-01T00"], overlap=(1, 2))
    assert set(found.data_vars) == {"temperature", "2m_temperature"}
    assert "level" not in found["2m_temperature"].dims
    # The last hour that all fields see is three before the end of the window.
    np.testing.assert_array_equal(found["prediction_timedelta"] / HOUR, [1, 2, 3])
    surface = found["2m_temperature"].isel(number=1)
    np.testing.assert_allclose(surface, values_of(store, "2m_temperature", found), atol=1e-4)
    upper = found["temperature"].isel(number=1)
    assert upper.isel(prediction_timedelta=0).isnull().all()
    expected = values_of(store, "temperature", found)[:, 1:, [0, 2]]
    np.testing.assert_allclose(upper[:, 1:], expected, atol=1e-4)


def test_levels_that_a_field_lacks_are_empty(store, monkeypatch):
    other = FieldSpec("specific_humidity", [700], (2, 2, 4), WINDOW)
    monkeypatch.setitem(FIELDS, "specific_humidity", other)
    found = atmorep_k.forecast(
        Answers(["temperature", "specific_humidity"], members), store, ["2020-02-01T00"]
    )
    np.testing.assert_array_equal(found["level"], [500, 700, 850])
    humidity = found["specific_humidity"]
    np.testing.assert_array_equal(humidity.notnull().all(set(humidity.dims) - {"level"}), [0, 1, 0])
    assert humidity.attrs["units"] == "kg kg-1"


def test_interpolation_gives_the_hidden_hours(store):
    model = Answers(["temperature"], members)
    found = atmorep_k.interpolate(model, store, ["2020-02-01T00"], overlap=(1, 1))
    np.testing.assert_array_equal(found["prediction_timedelta"] / HOUR, [1, 2])
    expected = values_of(store, "temperature", found)[:, :, [0, 2]]
    np.testing.assert_allclose(found["temperature"].isel(number=1), expected, atol=1e-4)
    last = atmorep_k.interpolate(model, store, ["2020-02-01T00"], time_token=2)
    forecast = atmorep_k.forecast(model, store, ["2020-02-01T00"])
    xr.testing.assert_equal(last, forecast)


def test_reconstruction_fills_what_was_hidden(store):
    model = Answers(["temperature"], members)
    options = {"ratio": 0.4, "members": False}
    found = atmorep_k.reconstruct(model, store, ["2020-02-01T00"], **options, batch_size=2)
    hidden = found["temperature_hidden"].values
    np.testing.assert_array_equal(found["temperature"].notnull(), hidden)
    np.testing.assert_array_equal(found["prediction_timedelta"] / HOUR, range(6))
    assert abs(hidden.mean() - 0.4) < 0.05
    expected = values_of(store, "temperature", found)[:, :, [0, 2]]
    np.testing.assert_allclose(found["temperature"].values[hidden], expected[hidden], atol=1e-4)
    again = atmorep_k.reconstruct(model, store, ["2020-02-01T00"], **options, batch_size=5)
    xr.testing.assert_identical(found, again)
    other = atmorep_k.reconstruct(model, store, ["2020-02-01T00"], **options, seed=1)
    assert np.any(other["temperature_hidden"].values != hidden)


def test_mean_and_spread_in_place_of_members(store):
    model = Answers(["temperature"], members)
    all_members = atmorep_k.forecast(model, store, ["2020-02-01T00"], overlap=(1, 2))
    found = atmorep_k.forecast(model, store, ["2020-02-01T00"], overlap=(1, 2), members=False)
    assert set(found.data_vars) == {"temperature", "temperature_spread"}
    expected = all_members["temperature"]
    np.testing.assert_allclose(found["temperature"], expected.mean("number"), rtol=1e-6)
    np.testing.assert_allclose(
        found["temperature_spread"], expected.std("number", ddof=1), rtol=1e-4
    )
    assert found["temperature_spread"].attrs["cell_methods"] == "number: standard_deviation"


def test_hours_after_the_record_are_forecast(store):
    # Members that do not look at the truth, which is not known there.
    model = Answers(["temperature"], lambda truth: np.zeros_like(members(truth)))
    end = "2020-02-01T23"
    found = atmorep_k.forecast(model, store, [end], tokens=2)
    assert found["temperature"].notnull().all()
    last = found["time"] + found["prediction_timedelta"][-1]
    assert last.values[0] == np.datetime64("2020-02-02T03")


def test_times_step_as_the_model_does(tmp_path):
    path = str(write(tmp_path / "hourly.zarr"))
    model = Answers(["temperature"], members)
    window = Window((6, 4, 8), step_hours=3)
    model.fields = [FieldSpec("temperature", [500], (2, 2, 2), window)]
    model.predicted = model.fields
    found = atmorep_k.forecast(model, path, ["2020-02-01T05"])
    np.testing.assert_array_equal(found["prediction_timedelta"] / HOUR, [3, 6])
    expected = values_of(path, "temperature", found)[:, :, [0]]
    np.testing.assert_allclose(found["temperature"].isel(number=1), expected, atol=1e-4)


def test_stores_of_the_original_can_be_used(tmp_path, write_original_store):
    hours = np.datetime64("2020-01-31T12", "ns") + np.arange(24) * HOUR
    arrays = write_original_store(tmp_path / "original.zarr", hours=hours)
    model, path = Answers(["2m_temperature"], members), str(tmp_path / "original.zarr")
    found = atmorep_k.forecast(model, path, ["2020-02-01T00"], overlap=(0, 1))
    expected = arrays["data_sfc"][13:16, 0]
    values = found["2m_temperature"].isel(time=0, number=1)
    np.testing.assert_allclose(values, expected, rtol=1e-5)
    scores = verify(found, model, open_store(path)).total["2m_temperature"]
    assert scores["rmse"].sel(model="ensemble") < 0.01 < scores["rmse"].sel(model="persistence")
    across = atmorep_k.forecast(model, path, [hours[-1]], region=(-30, 60, -60, 60))
    assert across["2m_temperature"].notnull().all()


@pytest.mark.parametrize("ending", [".zarr", ".nc"])
@pytest.mark.parametrize("name", ["forecast", "reconstruct"])
def test_a_file_holds_the_same(store, tmp_path, ending, name):
    model = Answers(["temperature", "2m_temperature"], members)
    times = ["2020-01-31T20", "2020-02-01T02", "2020-02-01T09"]
    output = tmp_path / "new" / f"p{ending}"
    expected = getattr(atmorep_k, name)(model, store, times)
    with getattr(atmorep_k, name)(model, store, times, output=output) as found:
        xr.testing.assert_identical(found.load(), expected)
    assert os.listdir(output.parent) == [output.name]


@pytest.mark.parametrize("ending", [".zarr", ".nc"])
def test_a_failure_leaves_nothing_behind(store, tmp_path, ending):
    output = tmp_path / f"p{ending}"
    calls = []

    def answer(truth):
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError("out of memory")
        return members(truth)

    model, times = Answers(["temperature"], answer), ["2020-01-31T20", "2020-02-01T02"]
    with pytest.raises(RuntimeError):
        atmorep_k.forecast(model, store, times, output=output)
    assert not os.listdir(tmp_path)
    atmorep_k.forecast(model, store, times, output=output).close()
    calls.clear()
    with pytest.raises(RuntimeError):
        atmorep_k.forecast(model, store, times, output=output, overwrite=True)
    assert os.listdir(tmp_path) == [output.name]
    atmorep_k.forecast(model, store, times[:1], output=output, overwrite=True).close()
    assert os.listdir(tmp_path) == [output.name]


def test_labels_follow_the_conventions(store):
    found = atmorep_k.forecast(Answers(["temperature"], members), store, ["2020-02-01T00"])
    names = {n: found[n].attrs.get("standard_name") for n in [*found.coords, *found.data_vars]}
    assert names == {
        "time": "forecast_reference_time",
        "prediction_timedelta": "forecast_period",
        "number": "realization",
        "level": "air_pressure",
        "latitude": "latitude",
        "longitude": "longitude",
        "temperature": "air_temperature",
    }
    assert found["temperature"].attrs["units"] == "K"
    assert found.attrs["Conventions"] == "CF-1.11"


@pytest.fixture(scope="module")
def model(make_model, randomize):
    made = make_model([FIELDS["temperature"], FIELDS["2m_temperature"]])
    made.build()
    return randomize(made)


@pytest.mark.backend
def test_a_real_model_predicts_alike_in_batches_of_any_size(model, store):
    one = atmorep_k.forecast(model, store, ["2020-02-01T00"], overlap=(1, 1), batch_size=1)
    many = atmorep_k.forecast(model, store, ["2020-02-01T00"], overlap=(1, 1), batch_size=8)
    assert one["temperature"].std() > 0.1
    xr.testing.assert_allclose(one, many, rtol=1e-5)


@pytest.mark.backend
def test_a_saved_model_predicts_as_it_did(model, store, tmp_path):
    path = tmp_path / "model.keras"
    expected = atmorep_k.forecast(model, store, ["2020-02-01T00"])
    model.save(path)
    found = atmorep_k.forecast(path, store, ["2020-02-01T00"])
    xr.testing.assert_allclose(found, expected, rtol=1e-5)
    assert str(path) in found.attrs["source"]
    xr.testing.assert_equal(atmorep_k.forecast(tmp_path, store, ["2020-02-01T00"]), found)


@pytest.mark.backend
def test_a_field_that_is_input_only_is_seen_whole(make_model, store):
    from atmorep_k.components.couplers import CrossFieldAttention

    fields = [FIELDS["temperature"], FIELDS["specific_humidity"]]
    made = make_model(fields, coupler=CrossFieldAttention())
    made.build()
    found = atmorep_k.forecast(made, store, ["2020-02-01T00"])
    assert set(found.data_vars) == {"temperature"}
    with pytest.raises(UserError) as error:
        atmorep_k.forecast(made, store, ["2020-02-01T22"])
    assert "('specific_humidity' is input only)" in str(error.value)
    assert "the last possible time is 2020-02-01T21:00" in str(error.value)
