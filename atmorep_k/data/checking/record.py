"""Checks of the axes of a store: times in order and whole, latitudes, longitudes and levels."""

import numpy as np

from atmorep_k.data.checking.findings import Finding
from atmorep_k.data.stores.layout import decode_time
from atmorep_k.earth.times import gaps, iso, usual_step
from atmorep_k.errors import UserError

# A step along a latitude or longitude that is so much longer than the others is a gap.
_BROKEN = 1.5
_LIMITS = {"latitude": 90.0, "lats": 180.0, "longitude": 540.0, "lons": 720.0}


def check_axes(group) -> list[Finding]:
    """Returns what is wrong with the axes of a store.

    They are read from the arrays, as a store with such axes may refuse to be opened.

    Args:
        group: the open Zarr group of a store, ours or one of the original AtmoRep.
    """
    found = _guarded("time", lambda: check_time(_read_time(group["time"])))
    for name in ("level", "latitude", "longitude", "lats", "lons"):
        if name in group:
            found += _guarded(name, lambda name=name: _check_places(name, group[name][:]))
    return found


def _guarded(name: str, check) -> list[Finding]:
    try:
        return check()
    except (UserError, ValueError, KeyError, OSError, RuntimeError) as error:
        return [_error(f"the axis {name!r} cannot be read: {error}")]


def _error(sentence: str, **of) -> Finding:
    return Finding("error", "record", sentence, **of)


def _read_time(array) -> np.ndarray:
    values = array[:]
    if values.dtype.kind != "M":
        values = decode_time(values, array.attrs["units"])
    return values.astype("datetime64[ns]")


def check_time(time: np.ndarray) -> list[Finding]:
    """Returns what is wrong with the times of a record, `(time,)` datetime64."""
    if not len(time):
        return [_error("the record has no time steps")]
    steps, zero = np.diff(time), np.timedelta64(0)
    found = [
        *_steps_found(time, steps < zero, "step(s) back in time: times must ascend"),
        *_steps_found(time, steps == zero, "time(s) occur twice"),
    ]
    usual = usual_step(time)
    if not usual:
        return found
    odd = (steps > zero) & (steps % usual != zero)
    words = f"step(s) that are not a multiple of the usual {usual / np.timedelta64(1, 'h'):g} h"
    return [*found, *_steps_found(time, odd, words), *_gaps_found(time)]


def _steps_found(time: np.ndarray, wrong: np.ndarray, words: str) -> list[Finding]:
    where = np.flatnonzero(wrong)
    if not len(where):
        return []
    first, last = iso(time[where[0] + 1]), iso(time[where[-1] + 1])
    sentence = f"{len(where)} {words}, first after number {where[0] + 1} of the record"
    return [_error(sentence, first=first, last=last, count=len(where))]


def _gaps_found(time: np.ndarray) -> list[Finding]:
    return [
        Finding(
            "warning",
            "record",
            f"a gap: {gap['missing_steps']} step(s) are missing between",
            first=gap["after"],
            last=gap["before"],
            count=gap["missing_steps"],
        )
        for gap in gaps(time)
    ]


def _check_places(name: str, values: np.ndarray) -> list[Finding]:
    """Checks an axis of space: its order, no value twice, no gap."""
    values = np.asarray(values, np.float64)
    if not len(values) or not np.all(np.isfinite(values)):
        return [_error(f"the axis {name!r} is empty or has a value that is not finite")]
    if np.any(np.abs(values) > _LIMITS.get(name, np.inf)):
        return [_error(f"the axis {name!r} goes from {values.min():g} to {values.max():g}")]
    steps = np.diff(_unrolled(values) if name == "lons" else values)
    steps = -steps if name == "latitude" else steps
    order = "from north to south" if name == "latitude" else "ascending"
    if np.any(steps == 0):
        twice = values[1:][steps == 0][0]
        return [_error(f"the axis {name!r} has the value {twice:g} twice")]
    if np.any(steps < 0):
        place = values[1:][steps < 0][0]
        return [_error(f"the axis {name!r} is not {order}, first at {place:g}")]
    if name != "level" and len(steps) and steps.max() > _BROKEN * np.median(steps):
        where = int(np.argmax(steps))
        between = f"{values[where]:g} and {values[where + 1]:g}"
        return [_error(f"the axis {name!r} is broken between {between}")]
    return []


def _unrolled(values: np.ndarray) -> np.ndarray:
    """Returns the original's longitudes ascending; a region across 0 begins anew there once."""
    breaks = np.flatnonzero(np.diff(values) < 0)
    if len(breaks) != 1:
        return values
    return np.where(np.arange(len(values)) > breaks[0], values + 360, values)
