"""Scores: what is averaged, sums of it, scores of the sums, baselines, and the truth.

`Statistic` is what is averaged, `Sums` add up over points, a `Metric` is a function of sums. Three
scorers are built on them: `held_out` (windows, at the end of a training), `verify` (a prediction
that was just made) and `predictions` (files).
"""

from atmorep_k.evaluation.arrays import bias, crps, mae, mse, rank_histogram, rmse, spread_skill
from atmorep_k.evaluation.baselines import Climatology
from atmorep_k.evaluation.case import Case
from atmorep_k.evaluation.metrics import Metric
from atmorep_k.evaluation.statistics import Statistic
from atmorep_k.evaluation.sums import Sums
from atmorep_k.evaluation.verification import Verification, verify
from atmorep_k.evaluation.weights import GridWeights, PointWeights, Weights

__all__ = [
    "Case",
    "Climatology",
    "GridWeights",
    "Metric",
    "PointWeights",
    "Statistic",
    "Sums",
    "Verification",
    "Weights",
    "bias",
    "crps",
    "mae",
    "mse",
    "rank_histogram",
    "rmse",
    "spread_skill",
    "verify",
]
