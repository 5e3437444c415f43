"""What is averaged. A statistic is a value of a forecast and its truth at each point.

Each class computes one. `Sums` adds them up over points, and a `Metric` makes a score of the sums.
"""

import abc

import numpy as np

from atmorep_k.evaluation.case import Case


class Statistic(abc.ABC):
    """What is averaged: a value at each point. Its `name` is that of its sum."""

    name: str

    @abc.abstractmethod
    def compute(self, case: Case) -> np.ndarray:
        """Return the values `(*points)` of a case."""

    def totals(self, case: Case) -> dict[str, np.ndarray]:
        """Return the weighted sums by cell, under their names.

        A statistic that is not a mean over points overrides this.
        """
        return {self.name: case.weights.total(self.compute(case))}


class Error(Statistic):
    """Error of the mean of the members."""

    name = "error"

    def compute(self, case):
        """Return forecast - truth."""
        return case.error


class SquaredError(Statistic):
    """Squared error of the mean of the members."""

    name = "squared_error"

    def compute(self, case):
        """Return (forecast - truth)²."""
        return case.error**2


class NormalisedSquaredError(Statistic):
    """Squared error of the mean of the members, in units of the field's variance."""

    name = "normalised_squared_error"

    def compute(self, case):
        """Return ((forecast - truth) / scale)²."""
        return (case.error / case.scale) ** 2


class AbsoluteError(Statistic):
    """Absolute error of the mean of the members."""

    name = "absolute_error"

    def compute(self, case):
        """Return |forecast - truth|."""
        return np.abs(case.error)


class FairCRPS(Statistic):
    """Fair CRPS of the members; the absolute error of a single forecast. Source: Ferro (2014)."""

    name = "crps"

    def compute(self, case):
        """Return mean_i |x_i - y| - sum_{i<j} |x_i - x_j| / (M (M - 1)).

        The second sum is taken over the sorted members: sum_i (2 i - M - 1) x_(i), i = 1..M. Taken
        of x - y instead, it loses no digits where values are far from 0.
        """
        number = case.number
        if number == 1:
            return np.abs(case.error)
        difference = case.sorted_members - case.truth
        weights = (2.0 * np.arange(1, number + 1) - number - 1) / (number * (number - 1))
        return np.abs(difference).mean(axis=0) - np.tensordot(weights, difference, 1)


class Variance(Statistic):
    """Variance of the members, enlarged by (M + 1) / M. Source: Fortin et al. (2014).

    Its mean is that of the squared error of the ensemble mean where truth and members are drawn
    alike.
    """

    name = "variance"

    def compute(self, case):
        """Return (M + 1) / M s² with s² = sum_i (x_i - mean)² / (M - 1); NaN of one member."""
        if case.number == 1:
            return np.full(case.truth.shape, np.nan)
        return (case.number + 1) / case.number * case.members.var(axis=0, ddof=1)


class Ranks(Statistic):
    """Rank of the truth among the members, 0..M. Source: Hamill (2001).

    A truth that equals k members counts 1 / (k + 1) in each of the k + 1 ranks it could have, so
    that ties are split without a draw.
    """

    name = "ranks"

    def compute(self, case):
        """Return how many members lie below the truth."""
        return (case.members < case.truth).sum(axis=0)

    def totals(self, case):
        """Return the weight `(*cells, rank)` of the points of each rank."""
        below, equal = self.compute(case), (case.members == case.truth).sum(axis=0)
        # Each point adds its share from its first rank on and takes it back after its last.
        number, share = case.number + 2, 1 / (equal + 1)
        steps = case.weights.counts(below, number, share)
        steps -= case.weights.counts(below + equal + 1, number, share)
        return {self.name: steps.cumsum(axis=-1)[..., :-1]}


class QuantileLoss(Statistic):
    """Quantile (pinball) loss of a quantile of the members.

    Args:
        share: of the members below the quantile, 0 to 1.
    """

    def __init__(self, share: float):
        self.share = share
        self.label = f"q{100 * share:g}"
        self.name = f"pinball_{self.label}"

    def compute(self, case):
        """Return the loss of the quantile, interpolated between the sorted members."""
        import xarray as xr
        from scores.continuous import quantile_score

        place = self.share * (case.number - 1)
        low = int(place)
        below, above = case.sorted_members[[low, min(low + 1, case.number - 1)]]
        forecast = below + (place - low) * (above - below)
        arrays = (xr.DataArray(values) for values in (forecast, case.truth))
        return quantile_score(*arrays, self.share, preserve_dims="all").values


class AnomalyCorrelation(Statistic):
    """Correlation of anomalies over a cell: one value of each time, as WeatherBench 2 has it."""

    name = "correlation"

    def compute(self, case):
        """Return the products of the anomalies of forecast and truth."""
        return (case.mean - case.climatology) * (case.truth - case.climatology)

    def totals(self, case):
        """Return sum w f o / sqrt(sum w f² sum w o²); 0 for a forecast without anomaly."""
        product = case.weights.total(self.compute(case))
        squares = case.weights.total((case.mean - case.climatology) ** 2)
        of_truth = case.weights.total((case.truth - case.climatology) ** 2)
        there = of_truth > 0
        norm = np.sqrt(squares * of_truth)
        found = np.divide(product, norm, out=np.zeros_like(norm), where=norm > 0)
        return {
            self.name: np.where(there, found, 0.0),
            f"{self.name}_times": there.astype(np.float64),
        }


class FieldDistance(Statistic):
    """Fair energy score of the field of a region: one value of each time, on a grid.

    Source: Gneiting and Raftery (2007), Section 4.2. The distance of two fields is the root of
    the mean square over the region, as in WeatherBench 2.
    """

    name = "energy"

    def compute(self, case):
        """Return mean_i |x_i - y| - sum_{i<j} |x_i - x_j| / (M (M - 1)), `(level, region)`."""
        weights, error = case.grid_weights, case.members - case.truth
        weight, total = weights.weight, weights.sum
        total = np.where(total > 0, total, 1.0)[..., None, None]
        products = np.einsum("nlyx,lryx,mlyx->lrnm", error, weight, error, optimize=True) / total
        squares = np.einsum("lrnn->lrn", products)
        distance = np.sqrt(squares).mean(axis=-1)
        if (number := case.number) > 1:
            # |x_i - x_j|² = |x_i - y|² + |x_j - y|² - 2 (x_i - y) (x_j - y)
            between = squares[..., None] + squares[..., None, :] - 2 * products
            between = np.sqrt(np.maximum(between, 0.0)).sum(axis=(-1, -2))
            distance = distance - between / (2 * number * (number - 1))
        return distance

    def totals(self, case):
        """Return the score of each region, and 1 where the region has points."""
        times = (case.weights.sum > 0).astype(np.float64)
        return {self.name: self.compute(case), f"{self.name}_times": times}
