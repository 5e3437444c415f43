"""Gaps filled: closed forms with a model that knows the answer, and what a real one sees."""

import dataclasses
import logging
import os
import shutil

import numpy as np
import pytest
import xarray as xr
import zarr

import atmorep_k
from atmorep_k.batch import tokenize
from atmorep_k.data.opening import open_store
from atmorep_k.errors import UserError
from atmorep_k.evaluation.verification import verify
from atmorep_k.figures.maps import prediction_maps
from atmorep_k.tasks.infill import infill
from atmorep_k.windows.opened import StoreWindows

from known_truth import FIELDS, HOUR, Answers, members, values_of, write

TIME = ["2020-01-31T20"]  # step 8 of the store; windows are 6 hours long


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return str(write(tmp_path_factory.mktemp("store") / "whole.zarr"))


@pytest.fixture
def holed(whole, tmp_path):
    """Function (index, ...) -> path of a copy with gaps in the temperature, and its array."""

    def make(*places, name="temperature"):
        path = tmp_path / "holed.zarr"
        shutil.copytree(whole, path)
        array = zarr.open_group(path)[name]
        for place in places:
            array[place] = np.nan
        return str(path)

    return make


@pytest.fixture
def truth(whole, monkeypatch):
    """Hands a model the truth of what is missing, from the store that is whole."""
    plain = StoreWindows.sample
    known = xr.open_zarr(whole, chunks=None, consolidated=False)["temperature"].load()

    def sample(self, position, masking, rng, **options):
        found = plain(self, position, masking, rng, **options)
        times, latitude, longitude = self.coordinates(position)
        cube = known.sel(level=[500, 850], time=times, latitude=latitude, longitude=longitude)
        cube, (_, *place) = cube.values.swapaxes(0, 1), self.indices(position)
        values = self.normalizers["temperature"].normalize(cube, times, *place)
        tokens = tokenize(values, FIELDS["temperature"].token_size).reshape(2, -1, 8)
        index = found.inputs["temperature/masked_index"][..., None]
        told = {"truth/temperature": np.take_along_axis(tokens, index, axis=1)}
        return dataclasses.replace(found, inputs=found.inputs | told)

    monkeypatch.setattr(StoreWindows, "sample", sample)


def counting(seen):
    """Returns a function as `members` that notes the shapes of what is to be predicted."""

    def answer(values):
        seen.append(values.shape)
        return members(values)

    return answer


GAPS = [
    (slice(9, 12), slice(None), 2, slice(3, 6)),  # two tokens along time, all levels
    (13, 2, 8, 19),  # a single value at the pole and the date line
]


def test_gaps_are_filled_and_the_rest_stays(holed, whole, truth):
    seen, path = [], holed(*GAPS)
    model, times = Answers(["temperature"], counting(seen)), [*TIME, "2020-02-01T12"]
    found = infill(model, path, times, batch_size=2)
    expected = values_of(whole, "temperature", found)[:, :, [0, 2]]
    missing = np.isnan(values_of(path, "temperature", found)[:, :, [0, 2]])
    np.testing.assert_array_equal(found["temperature_hidden"], missing)
    assert missing[0].any() and not missing[1].any()
    assert found["temperature_hidden"].attrs == {"long_name": "whether temperature is predicted"}
    assert found["temperature"].attrs["standard_name"] == "air_temperature"
    np.testing.assert_array_equal(found["prediction_timedelta"] / HOUR, range(6))
    for number, offset in enumerate((-1, 0, 1)):
        values = found["temperature"].isel(number=number).values
        np.testing.assert_array_equal(values[~missing], expected[~missing])
        # The members of the model are one deviation apart, which is about 1 K.
        np.testing.assert_allclose(values[missing], expected[missing] + offset, atol=0.05)
    middle = found["temperature"].isel(number=1).values
    np.testing.assert_allclose(middle[missing], expected[missing], atol=1e-4)
    # Of 9 windows three have gaps, the last one of each row reaches round the globe to the first;
    # of the time without gaps one is predicted. Shapes are those of the largest need.
    assert seen == [(2, 2, 4, 8)] * 3


def test_a_block_is_scored_against_what_is_known(whole, truth):
    model, options = Answers(["temperature"], members), {"block": (20, 70, 350, 60)}
    found = infill(model, whole, TIME, **options, hours=(2, 3), members=False)
    latitude, longitude = found["latitude"].values, found["longitude"].values
    inside = np.zeros(found["temperature"].shape, bool)
    rows, columns = (latitude >= 20) & (latitude <= 70), (longitude + 10) % 360 <= 70
    inside[:, 2:4] = rows[:, None] & columns
    np.testing.assert_array_equal(found["temperature_hidden"], inside)
    expected = values_of(whole, "temperature", found)[:, :, [0, 2]]
    np.testing.assert_array_equal(found["temperature"].values[~inside], expected[~inside])
    spread = found["temperature_spread"].values
    assert (spread[~inside] == 0).all()
    np.testing.assert_allclose(spread[inside], 1, atol=0.05)
    checked = verify(found, model, open_store(whole))
    rmse = checked.scores["temperature"]["rmse"].sel(model="ensemble")
    np.testing.assert_array_equal(np.isfinite(rmse), [0, 0, 1, 1, 0, 0])
    assert checked.total["temperature"]["rmse"].sel(model="ensemble") < 1e-4
    assert checked.total["temperature"]["rmse"].sel(model="persistence") > 1
    np.testing.assert_array_equal(checked.pictures["temperature"]["hidden"], inside[0][None, :, 1])


def test_where_nothing_is_seen_gaps_stay(holed, truth, caplog):
    # All levels and hours of the windows in the north-west, and a value further east.
    path = holed((slice(8, 14), slice(None), slice(0, 4), slice(0, 8)), (10, 0, 2, 12))
    model = Answers(["temperature"], members)
    with caplog.at_level(logging.WARNING):
        found = infill(model, path, TIME)
    assert "in 1 of 9 windows so much is missing that a model would see nothing" in caplog.text
    missing = np.zeros(found["temperature_hidden"].shape, bool)
    missing[0, 2, 0, 2, 12] = True
    np.testing.assert_array_equal(found["temperature_hidden"], missing)
    values = found["temperature"].isel(time=0)
    assert values[..., :4, :8].isnull().all() and values.isnull().sum() == 6 * 3 * 2 * 4 * 8
    checked = verify(found, model, open_store(path))
    assert checked.remark.startswith("no scores: missing values have no truth to compare with")
    figure = prediction_maps(checked.pictures["temperature"], "Infilling")
    titles = [axes.get_title(loc="left") for axes in figure.axes[:3]]
    assert titles == ["Target", "Prediction, mean of 3 members"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "nothing is missing in the windows of 2020-01-31T20:00 in"),
        ({"hours": (0, 3)}, "hours need a block: give (south, north, west, east) too."),
        ({"block": (60, 20, 0, 60)}, "a region needs (south, north, west, east)"),
        (
            {"block": (20, 60, 0, 60), "hours": (4, 3)},
            "hours must be 0 <= first <= last, not [4, 3].",
        ),
        ({"block": (20, 60, 0, 60), "hours": (7, 9)}, "the block holds no point of the windows"),
        ({"block": (-90, 90, 0, 360)}, "nothing can be filled at 2020-01-31T20:00: too much is"),
    ],
)
def test_mistakes_are_one_sentence(whole, tmp_path, options, sentence):
    with pytest.raises(UserError) as error:
        infill(Answers(["temperature"], None), whole, TIME, output=tmp_path / "f.nc", **options)
    assert sentence in str(error.value)
    assert not os.listdir(tmp_path)


def test_other_tasks_and_other_fields_refuse_gaps(holed):
    path = holed((9, 1, 2, 3), name="specific_humidity")
    block = {"block": (20, 60, 0, 60)}
    with pytest.raises(UserError, match=r"'specific_humidity' in .* has missing values"):
        infill(Answers(["temperature", "specific_humidity"], None), path, TIME, **block)
    with pytest.raises(UserError, match=r"'specific_humidity' in .* has missing values"):
        atmorep_k.forecast(
            Answers(["temperature", "specific_humidity"], None), path, ["2020-02-01"]
        )


@pytest.mark.backend
@pytest.mark.parametrize("encode", ["all", "visible"])
def test_a_real_model_does_not_see_what_is_near_a_gap(holed, make_model, randomize, encode):
    model = make_model([FIELDS["temperature"]], encode=encode)
    model.build()
    randomize(model)
    path, options = holed((9, 0, 2, 3), (11, 2, 5, 17)), {"batch_size": 4}
    first = infill(model, path, TIME, **options)
    assert first["temperature"].notnull().all() and first["temperature_hidden"].sum() == 2
    # Another value of a hidden token: steps 8 and 9 of the store are one token of the window.
    array = zarr.open_group(path)["temperature"]
    array[8, 0, 2, 3] = 400.0
    second = infill(model, path, TIME, **options)
    assert (second["temperature"][0, 0, :, 0, 2, 3] == 400).all()
    hidden = first["temperature_hidden"].values[0]
    one, two = (of["temperature"].values[0].swapaxes(0, 1)[:, hidden] for of in (first, second))
    np.testing.assert_array_equal(one, two)
    # A value of a visible token is seen.
    array[12, 0, 2, 3] = 400.0
    third = infill(model, path, TIME, **options)["temperature"].values[0]
    assert np.abs(third.swapaxes(0, 1)[:, hidden] - one)[:, 0].max() > 1e-3
