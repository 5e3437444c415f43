"""Scores as functions of sums, one class each.

A scorer has a tuple of metrics: their statistics are what it sums, they are what it says of the
sums. docs/scores.md has the formulas.
"""

import abc
from collections.abc import Iterable

import numpy as np

from atmorep_k.evaluation import events, statistics
from atmorep_k.evaluation.statistics import Statistic
from atmorep_k.evaluation.sums import Sums, ratio


class Metric(abc.ABC):
    """A score: a function of sums.

    Attributes:
        name: as files have it.
        in_units: whether it has the units of the field; else it has none.
        statistics: what it needs the sums of.
    """

    name: str
    in_units = False
    statistics: tuple[Statistic, ...] = ()

    @abc.abstractmethod
    def of(self, sums: Sums):
        """Return the score by cell, an array like those of the sums; NaN where nothing counted."""


class Mean(Metric):
    """A metric that is the mean of one statistic."""

    in_units = True

    def of(self, sums):
        """Return the mean."""
        return sums.mean(self.statistics[0].name)


class MSE(Mean):
    """Mean squared error of the ensemble mean, in units of the field squared."""

    name, in_units = "mse", False
    statistics = (statistics.SquaredError(),)


class RMSE(MSE):
    """Root of the mean squared error of the ensemble mean."""

    name, in_units = "rmse", True

    def of(self, sums):
        """Return the root of the mean."""
        return np.sqrt(super().of(sums))


class MAE(Mean):
    """Mean absolute error of the ensemble mean."""

    name, statistics = "mae", (statistics.AbsoluteError(),)


class Bias(Mean):
    """Mean error of the ensemble mean."""

    name, statistics = "bias", (statistics.Error(),)


class CRPS(Mean):
    """Mean fair CRPS of the members."""

    name, statistics = "crps", (statistics.FairCRPS(),)


class NormalisedMSE(Mean):
    """Mean squared error of the ensemble mean, in units of the field's variance."""

    name, in_units = "normalised_mse", False
    statistics = (statistics.NormalisedSquaredError(),)


class SpreadSkill(Metric):
    """Spread of the members beside the error of their mean, Fortin et al. (2014).

    sqrt((M + 1) / M * mean variance) / rmse is 1 where truth and members are drawn alike; below 1
    the ensemble is too sure of itself.
    """

    name = "spread_skill"
    statistics = (statistics.Variance(), statistics.SquaredError())

    def of(self, sums):
        """Return the ratio; NaN if the error is 0."""
        return np.sqrt(ratio(sums["variance"], sums["squared_error"]))


class ACC(Metric):
    """Mean over times of the correlation of anomalies."""

    name, statistics = "acc", (statistics.AnomalyCorrelation(),)

    def of(self, sums):
        """Return the mean over times."""
        return sums.mean("correlation", "correlation_times")


class EnergyScore(Metric):
    """Mean over times of the fair energy score."""

    name, in_units = "energy_score", True
    statistics = (statistics.FieldDistance(),)

    def of(self, sums):
        """Return the mean over times."""
        return sums.mean("energy", "energy_times")


class RankHistogram(Metric):
    """Share of points at which the truth has each rank among the members."""

    name, statistics = "ranks", (statistics.Ranks(),)

    def of(self, sums):
        """Return the shares `(*cells, rank)`."""
        return ratio(sums["ranks"], sums["ranks"].sum(axis=-1)[..., None])


class QuantileScore(Mean):
    """Mean quantile (pinball) loss.

    Args:
        share: of the members below the quantile.
    """

    name = "quantile_score"

    def __init__(self, share: float):
        self.statistics = (statistics.QuantileLoss(share),)
        self.name = f"quantile_score_q{100 * share:g}"


class EquitableThreatScore(Metric):
    """Hits of the ensemble mean beyond those of chance."""

    name = "ets"
    _CELLS = ("tn_count", "fn_count", "fp_count", "tp_count")

    def __init__(self, event: events.Event):
        self.statistics = (events.EventTable(event),)
        self.name = f"ets_{event.name}"

    def of(self, sums):
        """Return the score."""
        import xarray as xr
        from scores.categorical import BasicContingencyManager

        table = np.moveaxis(sums[self.statistics[0].name], -1, 0)
        counts = dict(zip(self._CELLS, map(xr.DataArray, table), strict=True))
        counts["total_count"] = xr.DataArray(table.sum(axis=0))
        with np.errstate(divide="ignore", invalid="ignore"):
            found = BasicContingencyManager(counts).equitable_threat_score().values
        return np.where(np.isfinite(found), found, np.nan)


class ROCArea(Metric):
    """Area under the curve of hit rate over false alarm rate, Mason (1982)."""

    name = "roc_area"

    def __init__(self, event: events.Event):
        self.statistics = (events.EventVotes(event),)
        self.name = f"roc_area_{event.name}"

    def of(self, sums):
        """Return the area: the trapezoids between the points of the curve.

        It is the share of pairs of a point with the event and one without it in which more members
        forecast it at the first; a tie counts half.
        """
        absent, present = np.moveaxis(sums[self.statistics[0].name], -2, 0)
        below = absent.cumsum(axis=-1) - absent / 2
        return ratio((present * below).sum(-1), present.sum(-1) * absent.sum(-1))


class FractionsSkillScore(Metric):
    """Likeness of the fractions of neighbourhoods that an event covers, Roberts and Lean (2008)."""

    name = "fss"

    def __init__(self, event: events.Event, width: int):
        self._fractions = events.NeighbourhoodFractions(event, width)
        self.statistics = (self._fractions,)
        self.name = f"fss_{event.name}_{width}"

    def of(self, sums):
        """Return the score."""
        return 1 - sums.mean(self._fractions.name, self._fractions.largest)


# Of held-out windows, in the order of scores.json; of an ensemble spread/skill comes after them.
HELD_OUT = (NormalisedMSE(), RMSE(), CRPS(), Bias())
# Of a prediction that was just made.
VERIFICATION = (RMSE(), NormalisedMSE())
# Of written predictions; spread/skill, quantiles and events come after them.
PREDICTIONS = (RMSE(), MAE(), Bias(), ACC(), CRPS(), EnergyScore())
# All that files may name.
KINDS: tuple[type[Metric], ...] = (
    *(NormalisedMSE, RMSE, MAE, Bias, CRPS, SpreadSkill, ACC, EnergyScore),
    *(QuantileScore, EquitableThreatScore, ROCArea, FractionsSkillScore),
)


def in_units(name: str) -> bool:
    """Return whether the metric of a name, such as `fss_q90_3`, has the units of its field."""
    return next(kind for kind in KINDS if name.startswith(kind.name)).in_units


def scores_of(sums: Sums, metrics: Iterable[Metric]) -> dict:
    """Return the score of each metric by its name."""
    return {metric.name: metric.of(sums) for metric in metrics}


def statistics_of(metrics: Iterable[Metric]) -> list[Statistic]:
    """Return the statistics that metrics need, each once."""
    return list({s.name: s for metric in metrics for s in metric.statistics}.values())
