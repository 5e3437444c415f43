"""What a model is told in place of the truth: numbers known from the calendar."""

import numpy as np
import pytest

from atmorep_k.batch import calendar, time_of
from atmorep_k.errors import UserError
from atmorep_k.tasks.told import Told

HOUR = np.timedelta64(1, "h")


def information(times, level=500.0):
    """Token information (1, 1, T, 1, 1, 8) of tokens that end at some times."""
    info = np.zeros((1, 1, len(times), 1, 1, 8), np.float32)
    info[..., 0, 0, :3] = calendar(times)
    info[..., [3, 6]], info[..., 4:6], info[..., 7] = level, (40, 350), 2.5
    return info


def test_times_come_back_from_their_numbers():
    rng = np.random.default_rng(0)
    times = np.datetime64("1940-01-01", "s") + rng.integers(0, 90 * 366 * 86400, 1000)
    np.testing.assert_array_equal(time_of(information(times)).ravel(), times)
    numbers = calendar(np.array(["2020-12-31T18:30", "2021-01-01T00"], "datetime64[m]"))
    np.testing.assert_array_equal(numbers, [[2020, 365, 18.5], [2021, 0, 0]])


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"year": 1979}, "1979-03-01T21:00"),  # day 60 is the first of March in no leap year
        ({"day": 366}, "2020-12-31T21:00"),
        ({"hour": 6}, "2020-02-29T06:00"),
        ({"year": 2021, "day": 1, "hour": 0}, "2021-01-01T00:00"),
        ({"level": 300.0}, "2020-02-29T21:00"),
    ],
)
def test_numbers_take_the_place_of_others(told, expected):
    assert Told(**told).time(np.datetime64("2020-02-29T21", "ns")) == np.datetime64(expected)


def test_tokens_stay_as_far_apart_as_they_are():
    time = np.datetime64("2019-12-31T04", "ns")
    inputs = {
        "t/tokens": np.zeros(3),
        "t/token_info": information(time + HOUR * np.array([-3, 0, 3])),
    }
    true = inputs["t/token_info"].copy()
    found = Told(year=1999, hour=22).change(inputs, time)["t/token_info"][0, 0, :, 0, 0]
    expected = [[1999, 364, 19], [1999, 364, 22], [2000, 0, 1]]
    np.testing.assert_array_equal(found[:, :3], expected)
    np.testing.assert_array_equal(found[:, 3:], true[0, 0, :, 0, 0, 3:])
    np.testing.assert_array_equal(inputs["t/token_info"], true)


def test_a_level_is_told_where_there_are_levels():
    time = np.datetime64("2020-01-01T00", "ns")
    above, surface = (information(np.array([time]), level) for level in (500.0, 0.0))
    inputs = {"t/token_info": above, "2t/token_info": surface}
    found = Told(level=300).change(inputs, time)
    np.testing.assert_array_equal(
        found["t/token_info"].ravel(), [2020, 0, 0, 300, 40, 350, 300, 2.5]
    )
    np.testing.assert_array_equal(found["2t/token_info"], surface)


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ({}, "give a year, day, hour or level for the model."),
        ({"hour": 24}, "the hour must be 0 to 23, not 24."),
        ({"day": 0}, "the day must be 1 to 366, not 0."),
        ({"year": -3}, "the year must be 1 to 9999, not -3."),
        ({"level": 0}, "the level must be greater than 0, not 0."),
        ({"year": 2021}, "the year 2021 has no day 366."),
    ],
)
def test_what_cannot_be_told_is_one_sentence(told, sentence):
    with pytest.raises(UserError) as error:
        Told(**told).time(np.datetime64("2020-12-31T04"))
    assert str(error.value) == sentence
