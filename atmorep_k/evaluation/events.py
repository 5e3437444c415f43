"""Statistics of events: values above a threshold."""

import dataclasses

import numpy as np

from atmorep_k.evaluation.case import Case
from atmorep_k.evaluation.statistics import Statistic
from atmorep_k.evaluation.weights import GridWeights


@dataclasses.dataclass(frozen=True)
class Event:
    """Values above a threshold.

    Args:
        name: such as `q90`.
        threshold: `(level,)` values.
        around: whether rows are whole circles, so that neighbourhoods continue across their ends.
    """

    name: str
    threshold: np.ndarray
    around: bool = False

    def happened(self, case: Case) -> np.ndarray:
        """Return where the event happened, bool `(level, lat, lon)`."""
        return case.shared((self.name, "happened"), lambda: case.truth > self._threshold)

    def votes(self, case: Case) -> np.ndarray:
        """Return how many members forecast it `(level, lat, lon)`."""
        count = lambda: (case.members > self._threshold).sum(axis=0)  # noqa: E731
        return case.shared((self.name, "votes"), count)

    def forecast(self, case: Case) -> np.ndarray:
        """Return where the mean of the members forecasts it, bool `(level, lat, lon)`."""
        return case.mean > self._threshold

    def smooth(self, values: np.ndarray, width: int) -> np.ndarray:
        """Return means `(level, lat, lon)` over width x width points; beyond the grid lies 0."""
        from scipy.ndimage import uniform_filter

        modes = ("constant", "constant", "wrap" if self.around else "constant")
        return uniform_filter(values, (0, width, width), mode=modes)

    @property
    def _threshold(self) -> np.ndarray:
        return self.threshold[:, None, None]


class EventTable(Statistic):
    """Contingency table of the mean of the members.

    Its last axis is correct negatives, misses, false alarms, hits.
    """

    def __init__(self, event: Event):
        self.event = event
        self.name = f"table_{event.name}"

    def compute(self, case):
        """Return the number of the cell of the table."""
        return 2 * self.event.forecast(case) + self.event.happened(case)

    def totals(self, case):
        """Return the table `(*cells, 4)`."""
        return {self.name: case.weights.counts(self.compute(case), 4)}


class EventVotes(Statistic):
    """How many members forecast the event, apart for points without it and with it."""

    def __init__(self, event: Event):
        self.event = event
        self.name = f"votes_{event.name}"

    def compute(self, case):
        """Return the number of members that forecast it."""
        return self.event.votes(case)

    def totals(self, case):
        """Return the weights `(*cells, 2, member + 1)` by number of members."""
        number = case.number + 1
        category = self.compute(case) + number * self.event.happened(case)
        counts = case.weights.counts(category, 2 * number)
        return {self.name: counts.reshape(*counts.shape[:-1], 2, number)}


class NeighbourhoodFractions(Statistic):
    """Squared difference of the fractions of neighbourhoods that the event covers, on a grid.

    Roberts and Lean (2008); of an ensemble the fraction of the neighbourhood's points and members,
    Duc et al. (2013). Neighbourhoods with a point that does not count are left out.

    Args:
        event: the event.
        width: points of a neighbourhood along latitude and longitude.
    """

    def __init__(self, event: Event, width: int):
        self.event, self.width = event, width
        self.name = f"fraction_error_{event.name}_{width}"
        self.largest = f"fraction_most_{event.name}_{width}"

    def compute(self, case):
        """Return the squared differences of the fractions."""
        forecast, truth = self._fractions(case)
        return (forecast - truth) ** 2

    def totals(self, case):
        """Return the squared differences, and the most that they could be."""
        forecast, truth = self._fractions(case)
        weights = case.shared((self.width, "weights"), lambda: self._whole(case))
        return {
            self.name: weights.total((forecast - truth) ** 2),
            self.largest: weights.total(forecast**2 + truth**2),
        }

    def _fractions(self, case: Case) -> list[np.ndarray]:
        counted = case.grid_weights.counted
        fraction = self.event.votes(case) / case.number
        return [
            self.event.smooth(values * counted, self.width)
            for values in (fraction, self.event.happened(case).astype(np.float64))
        ]

    def _whole(self, case: Case) -> GridWeights:
        """Return the weights of the neighbourhoods in which all points count."""
        weights = case.grid_weights
        whole = self.event.smooth(weights.counted.astype(np.float64), self.width) > 1 - 1e-6
        return weights.only(whole)
