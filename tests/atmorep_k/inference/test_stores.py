"""Predictions of models whose fields come from several stores."""

import os

import numpy as np
import pytest
from click.testing import CliRunner

import atmorep_k
from atmorep_k import cli
from atmorep_k.data.opening import open_store
from atmorep_k.errors import UserError
from atmorep_k.evaluation.verification import verify
from atmorep_k.fields import FieldSpec, Window
from atmorep_k.inference.output import open_prediction

from known_truth import FIELDS, HOUR, Answers, members, tell_the_truth, values_of, write

T = "2020-02-01T00"
# Half the points along each axis of the others: the same 6 h x 90 x 144 degrees.
COARSE = Window((3, 2, 4), step_hours=2)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return str(write(tmp_path_factory.mktemp("store") / "global.zarr"))


@pytest.fixture(scope="module")
def same(tmp_path_factory):
    """A store of the same grid, with a longer record."""
    return str(write(tmp_path_factory.mktemp("store") / "same.zarr", hours=48))


@pytest.fixture(scope="module")
def coarse(tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "coarse.zarr"
    return str(write(path, rows=5, columns=10, hours=18, step=2))


@pytest.fixture(autouse=True)
def truth(monkeypatch):
    tell_the_truth(monkeypatch)


@pytest.fixture
def coarse_surface(monkeypatch):
    field = FieldSpec("2m_temperature", [0], (1, 2, 2), COARSE, embed_dim=16)
    monkeypatch.setitem(FIELDS, "2m_temperature", field)


def _is_the_truth(found, name, store, levels=()):
    expected = values_of(store, name, found)
    expected = expected[:, :, list(levels)] if levels else expected
    found = found[name].isel(number=1)
    known = found.notnull().values
    assert known.any(axis=tuple(range(2, found.ndim))).any(axis=1).all()
    np.testing.assert_allclose(found.values[known], expected[known], atol=1e-4)


def test_stores_of_one_grid_land_in_one_file(store, same):
    model = Answers(["temperature", "2m_temperature", "specific_humidity"], members)
    stores = {"t2m": same, "specific_humidity": same}
    found = atmorep_k.forecast(model, store, [T], stores=stores, overlap=(1, 2))
    assert set(found.data_vars) == {"temperature", "2m_temperature"}
    _is_the_truth(found, "temperature", store, levels=(0, 2))
    _is_the_truth(found, "2m_temperature", same)
    assert found.attrs["stores"] == f"temperature: {store}, 2m_temperature: {same}"
    opened = {"temperature": open_store(store), "2m_temperature": open_store(same)}
    scores = verify(found, model, opened).total
    assert all(s["rmse"].sel(model="ensemble") < 1e-3 for s in scores.values())
    swapped = dict(zip(opened, reversed(opened.values()), strict=True))
    assert verify(found, model, swapped).total["2m_temperature"]["rmse"][0] > 0.1


def test_a_region_that_lies_in_another_store(store, tmp_path, monkeypatch):
    config = FIELDS["2m_temperature"].get_config() | {"normalization": "grid_point"}
    monkeypatch.setitem(FIELDS, "2m_temperature", FieldSpec.from_config(config))
    longitude = np.arange(-90.0, 91.0, 18)
    region = str(write(tmp_path / "region.zarr", longitude=longitude))
    model = Answers(["temperature", "2m_temperature"], members)
    options = {"stores": {"2m_temperature": region}}
    found = atmorep_k.forecast(model, store, [T], region=(-90, 90, -90, 90), **options)
    _is_the_truth(found, "temperature", store, levels=(0, 2))
    there = found.sel(longitude=slice(0, None))
    _is_the_truth(there, "2m_temperature", region)
    with pytest.raises(
        UserError, match=r"region\.zarr does not have the place .* longitudes -90 to 90"
    ):
        atmorep_k.forecast(model, store, [T], **options)


@pytest.mark.parametrize("order", [1, -1])
def test_fields_of_another_grid_are_written_one_by_one(store, coarse, coarse_surface, order):
    model = Answers(["temperature", "2m_temperature"][::order], members)
    stores = {"2m_temperature": coarse}
    found = atmorep_k.forecast(model, store, [T], stores=stores, fields=["t"], overlap=(1, 1))
    assert set(found.data_vars) == {"temperature"}
    np.testing.assert_array_equal(found["prediction_timedelta"] / HOUR, [1, 2])
    assert found["temperature"].notnull().all()
    _is_the_truth(found, "temperature", store, levels=(0, 2))
    found = atmorep_k.forecast(model, store, [T], stores=stores, fields=["t2m"], overlap=(0, 1))
    assert set(found.data_vars) == {"2m_temperature"}
    np.testing.assert_array_equal(found["prediction_timedelta"] / HOUR, [2])
    assert found["2m_temperature"].shape == (1, 1, 3, 5, 10)
    assert found["2m_temperature"].notnull().all()
    _is_the_truth(found, "2m_temperature", coarse)


@pytest.mark.parametrize(("name", "time"), [("reconstruct", "2020-01-31T21"), ("interpolate", T)])
def test_other_tasks_take_stores_too(store, coarse, coarse_surface, name, time):
    model = Answers(["temperature", "2m_temperature"], members)
    options = {"stores": {"2m_temperature": coarse}, "fields": ["temperature"]}
    found = getattr(atmorep_k, name)(model, store, [time], **options)
    _is_the_truth(found, "temperature", store, levels=(0, 2))


def test_an_input_of_another_grid_needs_no_choice(store, coarse, monkeypatch):
    field = FieldSpec("specific_humidity", [700], (1, 2, 4), COARSE, predicted=False)
    monkeypatch.setitem(FIELDS, "specific_humidity", field)
    model = Answers(["specific_humidity", "temperature"], members)
    stores = {"specific_humidity": coarse}
    found = atmorep_k.forecast(model, store, [T], stores=stores)
    _is_the_truth(found, "temperature", store, levels=(0, 2))
    with pytest.raises(UserError) as error:
        atmorep_k.forecast(model, store, ["2020-02-01T22"], stores={"q": coarse}, tokens=2)
    assert "('specific_humidity' is input only) after" in str(error.value)
    with pytest.raises(UserError) as error:
        atmorep_k.forecast(model, store, ["2020-02-01T01"], stores=stores)
    assert str(error.value) == (
        f"2020-02-01T01:00 cannot be used: the window of 6 h needs 2020-01-31T23:00, which is "
        f"missing in {coarse}."
    )


MISTAKES = [
    (
        {},
        "'2m_temperature' cannot be written beside 'temperature', its window is (3, 2, 4) points "
        "every 2 h, not (6, 4, 8) points every 1 h; choose the fields to write, for instance "
        "--fields temperature (fields=['temperature']).",
    ),
    (
        {"fields": ["temprature"]},
        "unknown predicted field 'temprature'; did you mean 'temperature'?",
    ),
    ({"fields": []}, "no field would be written; choose among temperature, 2m_temperature."),
    (
        {"fields": ["t"], "stores": {"rain": "COARSE"}},
        "unknown field with a store of its own 'rain'",
    ),
    ({"fields": ["t"], "stores": {"t2m": "COARSE.no"}}, "no store at COARSE.no"),
]


@pytest.mark.parametrize(("options", "sentence"), MISTAKES)
def test_mistakes_are_told_before_work_begins(
    store, coarse, coarse_surface, tmp_path, options, sentence
):
    model = Answers(
        ["temperature", "2m_temperature"], lambda truth: pytest.fail("the model was asked")
    )
    options = {"stores": {"2m_temperature": "COARSE"}} | options
    stores = {n: s.replace("COARSE", coarse) for n, s in options.pop("stores").items()}
    with pytest.raises(UserError) as error:
        output = tmp_path / "p.nc"
        atmorep_k.forecast(model, store, [T], stores=stores, output=output, **options)
    assert str(error.value).startswith(sentence.replace("COARSE", coarse))
    assert not os.listdir(tmp_path)


def test_a_grid_that_is_shifted_is_another_one(store, tmp_path):
    shifted = str(write(tmp_path / "shifted.zarr", longitude=np.arange(20) * 18.0 + 5))
    model = Answers(["temperature", "2m_temperature"], members)
    with pytest.raises(UserError) as error:
        atmorep_k.forecast(model, store, [T], stores={"t2m": shifted})
    assert str(error.value).startswith(
        f"'2m_temperature' cannot be written beside 'temperature', its grid is that of {shifted}, "
        f"not of {store}; choose the fields to write"
    )


def test_the_command_takes_stores_and_fields(
    store, coarse, coarse_surface, make_model, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    model = make_model([FIELDS["temperature"], FIELDS["2m_temperature"]])
    model.build()
    model.save("model.keras")
    words = ["model.keras", "--store", store, "--time", T, "--no-members"]
    of = ["--store-of", f"t2m={coarse}"]
    for fields, names in (("t", {"temperature"}), (" t2m,", {"2m_temperature"})):
        output = ["--fields", fields, "--output", "p.nc", "--overwrite"]
        result = CliRunner().invoke(cli.main, ["forecast", *words, *of, *output])
        assert result.exit_code == 0, result.output
        with open_prediction(tmp_path / "p.nc") as found:
            assert set(found.data_vars) == names | {f"{n}_spread" for n in names}
        (name,) = names
        assert f"{name} (K)" in result.stderr
    result = CliRunner().invoke(cli.main, ["forecast", *words, "--store-of", "t2m", *output])
    assert result.exit_code == 2
    assert "'t2m' is not FIELD=STORE, as in t2m=surface.zarr." in result.stderr
