"""Components that score an ensemble against the truth, to be minimised in training."""

from atmorep_k.components.losses.crps import AlmostFairKernelCRPS, GaussianCRPS, KernelCRPS
from atmorep_k.components.losses.ensemble_loss import EnsembleLoss
from atmorep_k.components.losses.squared_error import EnsembleMSE, LatitudeWeightedMSE, MeanMSE
from atmorep_k.components.losses.statistical_loss import StatisticalAreaLoss, StatisticalLoss
from atmorep_k.components.losses.weighted_sum import WeightedSum

__all__ = [
    "AlmostFairKernelCRPS",
    "EnsembleLoss",
    "EnsembleMSE",
    "GaussianCRPS",
    "KernelCRPS",
    "LatitudeWeightedMSE",
    "MeanMSE",
    "StatisticalAreaLoss",
    "StatisticalLoss",
    "WeightedSum",
]
