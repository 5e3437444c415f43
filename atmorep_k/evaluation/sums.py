"""Weighted sums of statistics: all that is kept of the points."""

from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np

from atmorep_k.evaluation.case import Case
from atmorep_k.evaluation.statistics import Statistic
from atmorep_k.evaluation.weights import Weights

# Name of the sum of weights that most sums are divided by.
WEIGHT = "weight"


class Sums(Mapping):
    """Weighted sums by name, and under `weight` the sum of the weights.

    The sums of two sets of points (times, windows, processes) add up to those of both, with `+`, so
    that memory does not grow with the points. `Metric.of` makes scores of them.

    Args:
        totals: name -> sums by cell, arrays of numpy or xarray.
    """

    def __init__(self, totals: Mapping):
        self._totals = dict(totals)

    @classmethod
    def of(cls, statistics: Iterable[Statistic], case: Case) -> "Sums":
        """Return the sums of statistics over the points of one case."""
        totals = {WEIGHT: case.weights.sum}
        for statistic in statistics:
            totals |= statistic.totals(case)
        return cls(totals)

    @classmethod
    def of_values(cls, values: Mapping[str, np.ndarray], weights: Weights) -> "Sums":
        """Return the sums of values at points, name -> `(*points)`."""
        totals = {name: weights.total(of_points) for name, of_points in values.items()}
        return cls({WEIGHT: weights.sum, **totals})

    def __getitem__(self, name: str):
        return self._totals[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._totals)

    def __len__(self) -> int:
        return len(self._totals)

    def __add__(self, other: "Sums") -> "Sums":
        """Return the sums over the points of both, which have the same statistics."""
        if not isinstance(other, Sums):
            return NotImplemented
        if self.keys() != other.keys():
            odd = ", ".join(sorted(self.keys() ^ other.keys()))
            raise ValueError(f"sums of different statistics cannot be added: only one has {odd}")
        return Sums({name: total + other[name] for name, total in self.items()})

    def map(self, change: Callable) -> "Sums":
        """Return the sums with a function applied to each, such as a sum over an axis."""
        return Sums({name: change(total) for name, total in self.items()})

    def mean(self, name: str, per: str = WEIGHT):
        """Return a sum divided by a sum of weights; NaN where nothing was counted."""
        return ratio(self[name], self[per])


def ratio(total, weight):
    """Return `total / weight`, NaN where the weight is 0; of arrays of numpy or xarray."""
    return total / (weight + np.where(weight == 0, np.nan, 0.0))
