"""Periods of training and validation, and the times at which a window may start."""

import math
from collections.abc import Sequence

import numpy as np

from atmorep_k.earth.times import iso
from atmorep_k.errors import UserError
from atmorep_k.fields import Window

# Times after the first and up to the last, which is one of them.
Span = tuple[np.datetime64, np.datetime64]

_TRAIN_SHARE = 0.8
_UNITS = ("Y", "M", "D", "h", "m", "s")


def split(
    time: np.ndarray, train: Sequence[str] | None, validation: Sequence[str] | None
) -> dict[str, tuple[int, int]]:
    """Returns `{"train": (first, stop), "validation": (first, stop)}`, indices of times.

    Args:
        time: `(time,)` datetime64 of the record, ascending.
        train: first and last date, both included; a date stands for all of its day (`2019-03-22`),
            month (`2019-03`) or hour (`2019-03-22T12`).
        validation: likewise. Where both are None they are the first 80 % and the rest.

    Raises:
        UserError: if one is missing, invalid, empty or outside the record, or both overlap.
    """
    if train is None and validation is None:
        cut = round(_TRAIN_SHARE * len(time))
        return {"train": (0, cut), "validation": (cut, len(time))}
    if train is None or validation is None:
        given, missing = ("validation", "train") if train is None else ("train", "validation")
        raise UserError(
            f"{given}_period is given but {missing}_period is not: give both, or neither for the "
            f"first {_TRAIN_SHARE:.0%} and the rest of the record."
        )
    periods = {"train": _indices("train", train, time)}
    periods["validation"] = _indices("validation", validation, time)
    first = max(first for first, _ in periods.values())
    if first < min(stop for _, stop in periods.values()):
        raise UserError(
            f"train_period {_words(train)} and validation_period {_words(validation)} overlap "
            f"from {iso(time[first])}; scores on data seen in training say nothing."
        )
    return periods


def _indices(name: str, period: Sequence[str], time: np.ndarray) -> tuple[int, int]:
    begin, end = _dates(name, period)
    unit = np.datetime_data(begin.dtype)[0], np.datetime_data(end.dtype)[0]
    record = f"the record of the store is {iso(time[0])} to {iso(time[-1])}"
    # Compared in the unit in which a date is written: a day is in the record of which it has
    # any hours, and the end date stands for all of its day, month or hour.
    before = time[0].astype(f"datetime64[{unit[0]}]") > begin
    if before or time[-1].astype(f"datetime64[{unit[1]}]") < end:
        raise UserError(f"{name}_period {_words(period)} is not inside the record: {record}.")
    edges = [begin.astype(time.dtype), (end + 1).astype(time.dtype)]
    first, stop = (int(i) for i in np.searchsorted(time, edges))
    if first == stop:
        raise UserError(f"{name}_period {_words(period)} holds no time of the store; {record}.")
    return first, stop


def _dates(name: str, period: Sequence[str]) -> tuple[np.datetime64, np.datetime64]:
    if isinstance(period, str) or len(period) != 2:
        raise UserError(f"{name}_period needs a first and a last date, not {period!r}.")
    begin, end = (_date(name, text) for text in period)
    if begin > end:
        raise UserError(f"{name}_period {_words(period)} ends before it begins.")
    return begin, end


def _date(name: str, text: str) -> np.datetime64:
    try:
        date = np.datetime64(text)
        if np.datetime_data(date.dtype)[0] in _UNITS:
            return date
    except (ValueError, TypeError):
        pass
    raise UserError(
        f"{name}_period holds {text!r}, which is not a date; write it like '2019-03-22' or "
        f"'2019-03-22T12'."
    )


def span(time: np.ndarray, period: tuple[int, int]) -> Span:
    """Returns the hours that a period's times stand for, each for the step that ends there.

    Args:
        time: `(time,)` datetime64 of the record.
        period: first and stop, indices of times.
    """
    step = np.diff(time).min() if len(time) > 1 else np.timedelta64(1, "h")
    return time[period[0]] - step, time[period[1] - 1]


def _words(period: Sequence[str]) -> str:
    return f"{period[0]} to {period[1]}"


def extended(time: np.ndarray, number: int) -> np.ndarray:
    """Returns times with `number` more after the last, each a step of the store later."""
    step = np.diff(time).min() if len(time) > 1 else np.timedelta64(1, "h")
    return np.concatenate([time, time[-1] + step * np.arange(1, number + 1)])


def store_stride(time: np.ndarray, window: Window) -> int:
    """Returns how many steps of the store lie between two time points of a window.

    Raises:
        UserError: if the window's step is not a multiple of the store's.
    """
    if len(time) < 2:
        return 1
    step = float(np.diff(time).min() / np.timedelta64(1, "s")) / 3600
    stride = window.step_hours / step
    if round(stride) < 1 or not math.isclose(stride, round(stride), abs_tol=1e-6):
        nearest = max(1, round(stride)) * step
        raise UserError(
            f"the window's step of {window.step_hours:g} h is not a multiple of the store's step "
            f"of {step:g} h; the nearest multiple is {nearest:g} h."
        )
    return round(stride)


def allowed_starts(
    name: str,
    time: np.ndarray,
    period: tuple[int, int],
    window: Window,
    stride: int,
    what: str = "window",
) -> np.ndarray:
    """Returns the indices at which a window may start: it lies in the period and spans no gap.

    Args:
        name: the period's name, for messages.
        time: `(time,)` datetime64 of the record.
        period: first and stop, indices of times.
        window: its times count.
        stride: steps of the record between two times of the window.
        what: what it is called in messages.

    Raises:
        UserError: if no window fits.
    """
    first, stop = period
    if first == stop:
        raise UserError(f"the {name} period is empty: the store has {len(time)} times in all.")
    reach = (window.shape[0] - 1) * stride
    starts = np.arange(first, stop - reach)
    step = np.diff(time).min() if len(time) > 1 else np.timedelta64(0, "ns")
    # The smallest difference of two times is the step: a window that spans a gap is longer.
    starts = starts[time[starts + reach] - time[starts] == reach * step]
    if len(starts):
        return starts
    hours = window.shape[0] * window.step_hours
    span = (time[stop - 1] - time[first] + step) / np.timedelta64(3600, "s")
    gaps = " without a gap" if stop - first > reach else ""
    raise UserError(
        f"a {what} of {hours:g} h does not fit{gaps} the {name} period of {span:g} h, "
        f"{iso(time[first])} to {iso(time[stop - 1])}."
    )
