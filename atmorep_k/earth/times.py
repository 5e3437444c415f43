"""The times of a record: its usual step, and where steps are missing."""

from typing import Any

import numpy as np


def iso(time: np.datetime64) -> str:
    """Returns a time to the minute as ISO 8601 tells it."""
    return str(np.datetime_as_string(time, "m"))


def usual_step(time: np.ndarray) -> np.timedelta64:
    """Returns the most frequent step forward, of several the shortest; 0 if there is none."""
    steps = np.diff(time)
    steps, counts = np.unique(steps[steps > np.timedelta64(0)], return_counts=True)
    return steps[np.argmax(counts)] if len(steps) else np.timedelta64(0, "s")


def gaps(time: np.ndarray) -> list[dict[str, Any]]:
    """Returns the times after which steps are missing, and how many.

    Args:
        time: `(time,)` datetime64.
    """
    steps, usual = np.diff(time), usual_step(time)
    return [
        {
            "after": iso(time[i]),
            "before": iso(time[i + 1]),
            "missing_steps": int(steps[i] // usual) - 1,
        }
        for i in np.flatnonzero(steps >= 2 * usual)
        if usual
    ]
