"""The events that a written prediction is scored by: values above quantiles of the truth."""

from collections.abc import Sequence

import numpy as np

from atmorep_k.evaluation.events import Event
from atmorep_k.evaluation.predictions.matched_field import MatchedField

# Thresholds are these quantiles of the truth of a level.
SHARES = (0.9, 0.99)
# Hours that thresholds are taken from, evenly spaced among those that are scored; and values.
_MOST_HOURS = 32
_MOST_VALUES = 2**26


def events_of_truth(
    field: MatchedField, area: np.ndarray, shares: Sequence[float] = SHARES
) -> list[Event]:
    """Return the events above quantiles of the truth, by level, over hours and area.

    Args:
        field: has the truth.
        area: `(lat, lon)` weight of points.
        shares: the quantiles, 0 to 1.
    """
    hours = field.valid_times()
    most = min(_MOST_HOURS, 1 + _MOST_VALUES // (len(field.levels) * area.size))
    chosen = np.unique(np.linspace(0, len(hours) - 1, most).astype(int))
    truth = np.moveaxis(field.read(hours[chosen]), 1, 0)
    thresholds = np.transpose([_quantiles(level, area, shares) for level in truth])
    return [
        Event(f"q{100 * share:g}", threshold, field.around)
        for share, threshold in zip(shares, thresholds, strict=True)
    ]


def _quantiles(values: np.ndarray, area: np.ndarray, shares: Sequence[float]) -> np.ndarray:
    """Return quantiles (share,) of (hour, lat, lon), weighted by area; NaN counts nothing."""
    there = np.isfinite(values)
    if not there.any():
        return np.full(len(shares), np.nan)
    weights = np.broadcast_to(area, values.shape)[there]
    return np.quantile(values[there], shares, weights=weights, method="inverted_cdf")
