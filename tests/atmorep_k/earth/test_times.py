"""The usual step of a record, and its gaps."""

import numpy as np

from atmorep_k.data.checking.record import check_time
from atmorep_k.earth.times import gaps, usual_step


def _hours(*hours):
    return np.datetime64("2020-01-01T00", "ns") + np.array(hours) * np.timedelta64(1, "h")


def test_usual_step_is_the_most_frequent():
    assert usual_step(_hours(0, 6, 12, 13, 18)) == np.timedelta64(6, "h")
    assert usual_step(_hours(0, 1, 4, 5, 11)) == np.timedelta64(1, "h")
    assert usual_step(_hours(5)) == np.timedelta64(0)


def test_gaps_are_whole_steps():
    assert gaps(_hours(0, 3, 6, 15, 18)) == [
        {"after": "2020-01-01T06:00", "before": "2020-01-01T15:00", "missing_steps": 2}
    ]
    assert gaps(_hours(0)) == [] == gaps(_hours(0, 3))


def test_no_time_at_all_is_found():
    assert "no time" in check_time(_hours()[:0])[0].sentence


def test_one_time_is_well():
    assert check_time(_hours(4)) == []


def test_a_step_too_early_is_no_gap():
    (found,) = check_time(_hours(0, 6, 12, 15, 18, 24))
    assert "not a multiple of the usual 6 h" in found.sentence
    assert (found.first, found.last) == ("2020-01-01T15:00", "2020-01-01T18:00")
