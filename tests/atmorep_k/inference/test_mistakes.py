"""What predictions refuse, in one sentence and before work begins."""

import os
import shutil

import numpy as np
import pytest
import zarr

import atmorep_k
from atmorep_k.data.opening import open_store
from atmorep_k.errors import UserError
from atmorep_k.inference.opening import open_dataset

from known_truth import START, Answers, members, write


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return str(write(tmp_path_factory.mktemp("store") / "global.zarr"))


T = "2020-02-01T00"
MISTAKES = [
    (
        "forecast",
        [T],
        {"tokens": 3},
        "tokens must be 1 to 2, for this model, not 3; 'rollout' forecasts further.",
    ),
    (
        "forecast",
        [T],
        {"hours": 5},
        "this model forecasts at most 4 h, not 5; 'rollout' forecasts further.",
    ),
    (
        "forecast",
        [T],
        {"hours": 4, "tokens": 2},
        "give a forecast either tokens or hours, not both.",
    ),
    ("forecast", [T], {"hours": 0}, "the hours to forecast must be more than 0, not 0."),
    ("forecast", [T], {"tokens": 0}, "tokens must be 1 to 2, for this model, not 0."),
    ("forecast", [], {}, "at least one time must be given."),
    ("forecast", ["noon"], {}, "'noon' is not a valid time; write it like '2021-02-10T06'."),
    ("forecast", [T], {"batch_size": 0}, "the batch size must be at least 1, not 0."),
    (
        "forecast",
        ["2020-02-03"],
        {},
        "2020-02-03T00:00 is not in STORE, which holds 2020-01-31T12:00 to 2020-02-01T23:00.",
    ),
    (
        "forecast",
        ["2020-02-01T00:20"],
        {},
        "2020-02-01T00:20 is not among the times of STORE; the nearest is 2020-02-01T00:00.",
    ),
    (
        "forecast",
        ["2020-01-31T14"],
        {},
        "2020-01-31T14:00 is too early: the window of 6 h would begin before STORE does, at "
        "2020-01-31T12:00; the first possible time is 2020-01-31T15:00.",
    ),
    (
        "interpolate",
        ["2020-02-01T22"],
        {},
        "2020-02-01T22:00 is too late: the window of 6 h needs values after STORE ends, at "
        "2020-02-01T23:00; the last possible time is 2020-02-01T19:00.",
    ),
    (
        "interpolate",
        [T],
        {"time_token": 3},
        "the time token must be 1 to 2, for this model, not 3.",
    ),
    (
        "forecast",
        [T],
        {"overlap": (2, 0)},
        "the overlap must be 0 to 1 tokens in lat and 0 to 2 in lon, at most half a window, "
        "not [2, 0].",
    ),
    (
        "forecast",
        [T],
        {"region": (0, 10, 0, 90)},
        "a window of 4 x 8 points (lat, lon) does not fit the region (0, 10, 0, 90) (south, north, "
        "west, east), which holds 1 x 6 points of the store.",
    ),
    (
        "reconstruct",
        [T],
        {"ratio": 0.0},
        "the ratio must be greater than 0 and less than 1, not 0.",
    ),
    ("reconstruct", [T], {"ratio": 0.99}, "a ratio of 0.99 masks all 24 tokens of a window."),
    ("reconstruct", [T], {"seed": -1}, "the seed must be 0 or greater, not -1."),
]


@pytest.mark.parametrize(("name", "times", "options", "sentence"), MISTAKES)
def test_mistakes_are_told_before_work_begins(store, tmp_path, name, times, options, sentence):
    model = Answers(["temperature"], lambda truth: pytest.fail("the model was asked"))
    with pytest.raises(UserError) as error:
        getattr(atmorep_k, name)(model, store, times, output=tmp_path / "p.nc", **options)
    assert str(error.value) == sentence.replace("STORE", store)
    assert not os.listdir(tmp_path)


def test_a_model_and_a_store_that_do_not_fit_are_told(store, tmp_path):
    model = Answers(["temperature"], members)
    open_dataset(store, None, model, "temperature")  # gives it statistics, which have a grid
    coarse = str(write(tmp_path / "coarse.zarr", rows=5, columns=10))
    with pytest.raises(UserError) as error:
        atmorep_k.forecast(model, coarse, [T])
    assert str(error.value) == (
        f"the grid of {coarse} has 45 x 36 degrees (lat x lon), but the model was trained on "
        "'temperature' with 22.5 x 18 and cannot use another spacing."
    )
    model.provenance = {"units": {"temperature": "degC"}}
    with pytest.raises(UserError) as error:
        atmorep_k.forecast(model, store, [T])
    assert str(error.value) == (
        f"'temperature' is in K in {store}, but the model was trained on it in degC; make a store "
        "with 'atmorep-k data prepare', which converts units."
    )


def test_a_region_outside_the_store_is_told(tmp_path):
    path = str(write(tmp_path / "west.zarr", longitude=180.0 + 6 * np.arange(20)))
    with pytest.raises(UserError) as error:
        atmorep_k.forecast(Answers(["temperature"], members), path, [T], region=(0, 90, 10, 90))
    assert str(error.value) == (
        "the region (0, 90, 10, 90) (south, north, west, east) lies outside the store, which has "
        "latitudes -90 to 90 and longitudes 180 to 294."
    )


def test_a_gap_in_the_record_is_told(tmp_path):
    path = write(tmp_path / "gap.zarr")
    hours = zarr.open_group(path)["time"]
    hours[20:] = hours[20:] + 1
    model = Answers(["temperature"], members)
    with pytest.raises(UserError) as error:
        atmorep_k.forecast(model, str(path), ["2020-02-01T10"])
    assert str(error.value) == (
        f"2020-02-01T10:00 cannot be used: the window of 6 h needs 2020-02-01T08:00, which is "
        f"missing in {path}."
    )


def test_what_is_not_there_is_told(store, tmp_path):
    answers = Answers(["temperature"], members)
    for arguments, sentence in [
        ((tmp_path / "m.keras", store), f"no model at {tmp_path / 'm.keras'}."),
        ((answers, f"{store[:-5]}.zar"), "; did you mean 'global.zarr'?"),
        (
            (answers, store),
            "cannot write a prediction to p.txt: the name must end in .zarr or .nc.",
        ),
    ]:
        output = "p.txt" if "end in" in sentence else None
        with pytest.raises(UserError) as error:
            atmorep_k.forecast(*arguments, [T], output=output)
        assert sentence in str(error.value)


def test_a_step_that_does_not_fit_is_told(tmp_path):
    path = str(write(tmp_path / "coarse.zarr", step=2))
    with pytest.raises(UserError, match="the window's step of 1 h is not a multiple"):
        atmorep_k.forecast(Answers(["temperature"], members), path, [T])


def test_no_statistics_anywhere_are_told(tmp_path):
    path = write(tmp_path / "bare.zarr")
    for array in (path / "statistics").glob("temperature_*"):
        shutil.rmtree(array)
    with pytest.raises(UserError, match="statistics"):
        atmorep_k.forecast(Answers(["temperature"], members), str(path), [T])


def test_outputs_are_not_overwritten_unasked(store, tmp_path):
    model, output = Answers(["temperature"], members), tmp_path / "p.zarr"
    output.mkdir()
    for overwrite, sentence in (
        (False, f"{output} already exists; give another name or --overwrite."),
        (True, f"{output} exists and is not a prediction; it is not overwritten."),
    ):
        with pytest.raises(UserError) as error:
            atmorep_k.forecast(model, store, [T], output=output, overwrite=overwrite)
        assert str(error.value) == sentence
    assert open_store(store).time[0] == START
