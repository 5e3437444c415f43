import numpy as np
import pytest

from atmorep_k.errors import UserError
from atmorep_k.fields import Window
from atmorep_k.windows.periods import allowed_starts, split, store_stride

HOURLY = np.datetime64("2019-03-01T00", "ns") + np.arange(240) * np.timedelta64(1, "h")
WINDOW = Window((12, 2, 2))


def test_default_is_the_first_four_fifths_and_the_rest():
    assert split(HOURLY, None, None) == {"train": (0, 192), "validation": (192, 240)}


@pytest.mark.parametrize(
    ("train", "validation", "expected"),
    [
        (("2019-03-01", "2019-03-02"), ("2019-03-03", "2019-03-10"), [(0, 48), (48, 240)]),
        (("2019-03-01T06", "2019-03-01T08"), ("2019-03-10", "2019-03-10"), [(6, 9), (216, 240)]),
        (("2019-03-08", "2019-03-09"), ("2019-03-02", "2019-03-03"), [(168, 216), (24, 72)]),
    ],
)
def test_both_dates_of_a_period_are_in_it(train, validation, expected):
    assert list(split(HOURLY, train, validation).values()) == expected


def test_a_year_and_a_month_stand_for_all_their_days():
    time = np.arange("2018-01-01", "2020-01-01", dtype="datetime64[D]").astype("datetime64[ns]")
    periods = split(time, ("2018", "2019-01"), ("2019-02", "2019-02"))
    assert periods == {"train": (0, 365 + 31), "validation": (365 + 31, 365 + 31 + 28)}


@pytest.mark.parametrize(
    ("train", "validation", "message"),
    [
        (
            ("2019-03-01", "2019-03-05"),
            ("2019-03-05", "2019-03-09"),
            "overlap from 2019-03-05T00:00",
        ),
        (("2019-03-01", "2019-03-05"), None, "validation_period is not"),
        (None, ("2019-03-01", "2019-03-05"), "train_period is not"),
        (("2019-03-05", "2019-03-01"), ("2019-03-06", "2019-03-07"), "ends before it begins"),
        (("2019-02-28", "2019-03-05"), ("2019-03-06", "2019-03-07"), "2019-03-01T00:00 to"),
        (("2019-03-01", "2019-03-05"), ("2019-03-06", "2019-03-11"), "to 2019-03-10T23:00"),
        (("March", "2019-03-05"), ("2019-03-06", "2019-03-11"), "'March', which is not a date"),
        (("2019-03-01",), ("2019-03-06", "2019-03-11"), "a first and a last date"),
        ("2019-03-01", ("2019-03-06", "2019-03-11"), "a first and a last date"),
    ],
)
def test_mistakes(train, validation, message):
    with pytest.raises(UserError, match=message):
        split(HOURLY, train, validation)


def test_a_period_without_a_time_is_empty():
    time = HOURLY[np.r_[0:24, 72:96]]
    with pytest.raises(UserError, match="holds no time"):
        split(time, ("2019-03-01", "2019-03-01"), ("2019-03-02", "2019-03-03"))


def test_a_record_of_one_time_leaves_nothing_to_validate():
    with pytest.raises(UserError, match="validation period is empty"):
        allowed_starts("validation", HOURLY[:1], (1, 1), WINDOW, 1)


def test_windows_lie_in_their_period():
    starts = allowed_starts("train", HOURLY, (24, 48), WINDOW, 1)
    assert starts.tolist() == list(range(24, 48 - 11))


def test_windows_do_not_span_a_gap():
    time = HOURLY[np.r_[0:30, 31:60]]
    starts = allowed_starts("train", time, (0, len(time)), WINDOW, 1)
    assert starts.tolist() == [*range(0, 19), *range(30, 48)]
    for start in starts:
        assert np.all(np.diff(time[start : start + 12]) == np.timedelta64(1, "h"))


@pytest.mark.parametrize(("step_hours", "stride"), [(1.0, 1), (3.0, 3), (0.5, None), (1.5, None)])
def test_step_of_a_window_is_a_multiple_of_the_store(step_hours, stride):
    window = Window((4, 2, 2), step_hours)
    if stride:
        assert store_stride(HOURLY, window) == stride
    else:
        with pytest.raises(UserError, match="store's step of 1 h"):
            store_stride(HOURLY, window)


def test_a_stride_reaches_further():
    window = Window((4, 2, 2), 3.0)
    starts = allowed_starts("train", HOURLY, (0, 24), window, 3)
    assert starts.tolist() == list(range(24 - 9))


def test_a_window_too_long_for_its_period_is_named_with_it():
    with pytest.raises(UserError, match="window of 12 h does not fit the train period of 6 h"):
        allowed_starts("train", HOURLY, (0, 6), WINDOW, 1)
    time = HOURLY[::1][np.arange(240) % 11 != 10]
    with pytest.raises(UserError, match="does not fit without a gap"):
        allowed_starts("train", time, (0, len(time)), WINDOW, 1)
