"""Components that score an ensemble against the truth, to be minimised in training."""

from atmorep_k.components.losses.almost_fair_kernel_crps import AlmostFairKernelCRPS
from atmorep_k.components.losses.ensemble_loss import EnsembleLoss
from atmorep_k.components.losses.ensemble_mse import EnsembleMSE
from atmorep_k.components.losses.gaussian_crps import GaussianCRPS
from atmorep_k.components.losses.kernel_crps import KernelCRPS
from atmorep_k.components.losses.latitude_weighted_mse import LatitudeWeightedMSE
from atmorep_k.components.losses.mean_mse import MeanMSE
from atmorep_k.components.losses.statistical_area_loss import StatisticalAreaLoss
from atmorep_k.components.losses.statistical_loss import StatisticalLoss
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
