"""Values above a threshold: contingency tables, and fractions of neighbourhoods."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from atmorep_k.evaluation import metrics
from atmorep_k.evaluation.predictions.case import Case
from atmorep_k.evaluation.predictions.matched_field import MatchedField

# Thresholds are these quantiles of the truth of a level.
SHARES = (0.9, 0.99)
# Points along latitude and longitude that a neighbourhood has.
NEIGHBOURHOODS = (3, 9)
# Hours that thresholds are taken from, evenly spaced among those that are scored; and values.
_MOST_HOURS = 32
_MOST_VALUES = 2**26


@dataclasses.dataclass(frozen=True)
class Events:
    """Values above thresholds.

    Args:
        thresholds: share of the truth below it, in % -> (level,) values.
        around: whether rows are whole circles, so that neighbourhoods go round them.
    """

    thresholds: dict[str, np.ndarray]
    around: bool

    @classmethod
    def of_truth(
        cls, field: MatchedField, area: np.ndarray, shares: Sequence[float] = SHARES
    ) -> "Events":
        """Returns the events above quantiles of the truth, by level, over hours and area.

        Args:
            field: has the truth.
            area: (lat, lon) weight of points.
            shares: the quantiles, 0 to 1.
        """
        hours = field.valid_times()
        most = min(_MOST_HOURS, 1 + _MOST_VALUES // (len(field.levels) * area.size))
        chosen = np.unique(np.linspace(0, len(hours) - 1, most).astype(int))
        truth = np.moveaxis(field.read(hours[chosen]), 1, 0)
        values = [_quantiles(level, area, shares) for level in truth]
        names = [f"q{100 * share:g}" for share in shares]
        return cls(dict(zip(names, np.transpose(values), strict=True)), field.around)

    def parts(self, case: Case) -> dict[str, np.ndarray]:
        """Returns the sums (level, region) of all thresholds."""
        found = {}
        for name, values in self.thresholds.items():
            threshold = values[:, None, None]
            happened = case.truth.values > threshold
            found |= self._table(case, threshold, happened, name)
            found |= _votes(case, threshold, happened, name)
            fraction = (case.members > threshold).mean(axis=0)
            for width in NEIGHBOURHOODS:
                if min(happened.shape[1:]) >= width:
                    found |= self._fractions(case, fraction, happened, name, width)
        return found

    def _table(self, case: Case, threshold, happened, name: str) -> dict[str, np.ndarray]:
        """Returns the contingency table of the mean of the members."""
        foretold = metrics.ensemble_mean(case.forecast).values > threshold
        cells = {
            "hits": foretold & happened,
            "false_alarms": foretold & ~happened,
            "misses": ~foretold & happened,
            "correct_negatives": ~foretold & ~happened,
        }
        return {f"{cell}_{name}": case.total(values) for cell, values in cells.items()}

    def _fractions(self, case: Case, fraction, happened, name: str, width: int):
        """Returns the squares of which the fractions skill score consists.

        Roberts and Lean (2008); of an ensemble the fraction of the neighbourhood's points and
        members, Duc et al. (2013). Neighbourhoods in which a point does not count are left out.
        """
        counted = case.counted.astype(np.float64)
        whole = self._smooth(counted, width) > 1 - 1e-6
        forecast, truth = (self._smooth(v * counted, width) for v in (fraction, happened))
        weight = case.weight * whole[:, None]
        return {
            f"fraction_error_{name}_{width}": case.total((forecast - truth) ** 2, weight),
            f"fraction_most_{name}_{width}": case.total(forecast**2 + truth**2, weight),
        }

    def _smooth(self, values: np.ndarray, width: int) -> np.ndarray:
        """Returns means (level, lat, lon) over width x width points; beyond the grid lies 0."""
        from scipy.ndimage import uniform_filter

        modes = ("constant", "constant", "wrap" if self.around else "constant")
        return uniform_filter(values, (0, width, width), mode=modes)


def _votes(case: Case, threshold, happened, name: str) -> dict[str, np.ndarray]:
    """Returns the weight of points at which k members foretell the event, where it came and not."""
    groups = case.number + 1
    group = (case.members > threshold).sum(axis=0) + groups * happened
    sums = np.zeros((2 * groups, *case.weight.shape[:2]))
    for level, region in np.ndindex(*case.weight.shape[:2]):
        weight = case.weight[level, region].ravel()
        sums[:, level, region] = np.bincount(group[level].ravel(), weight, 2 * groups)
    names = [
        f"{came}_{name}_{k}" for came in ("votes_without", "votes_with") for k in range(groups)
    ]
    return dict(zip(names, sums, strict=True))


def _quantiles(values: np.ndarray, area: np.ndarray, shares: Sequence[float]) -> np.ndarray:
    """Returns quantiles (share,) of (hour, lat, lon), weighted by area; NaN counts nothing."""
    there = np.isfinite(values)
    if not there.any():
        return np.full(len(shares), np.nan)
    weights = np.broadcast_to(area, values.shape)[there]
    return np.quantile(values[there], shares, weights=weights, method="inverted_cdf")
