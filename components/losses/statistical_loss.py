"""The statistical losses of the original AtmoRep (Lessig et al. 2023, arXiv:2308.13280)."""

from keras import ops

from atmorep_k.components.losses.ensemble_loss import EnsembleLoss, mean_and_std
from atmorep_k.registry import component


@component("loss")
class StatisticalLoss(EnsembleLoss):
    """AtmoRep's loss of the ensemble's Gaussian: (exp(-z^2 / 2) - 1)^2 + sqrt(sigma).

    z = (y - mu) / sigma with mean and unbiased standard deviation of the members
    (arXiv:2308.13280, `stats` of the original). The first term asks that the Gaussian with peak 1
    be 1 at the truth, the second keeps it narrow. It has next to no gradient where z is large:
    the original adds `EnsembleMSE`. sigma is at least 1e-7, see `mean_and_std`.
    """

    def score(self, target, members):
        """Returns the score of each value; UserError for a single member."""
        mean, std = mean_and_std(members, self)
        peak_minus_one = ops.expm1(-0.5 * ops.square((target - mean) / std))
        return ops.square(peak_minus_one) + ops.sqrt(std)


@component("loss")
class StatisticalAreaLoss(EnsembleLoss):
    """AtmoRep's loss of the area from mean to truth: erf((y - mu) / sigma^2)^2 / 5 + sqrt(sigma).

    Mean and unbiased standard deviation are those of the members (`stats_area` of the original).
    It divides by the variance where a Gaussian's area asks for sqrt(2) sigma: kept, as nobody but
    the original uses this loss. sigma is at least 1e-7, see `mean_and_std`.
    """

    def score(self, target, members):
        """Returns the score of each value; UserError for a single member."""
        mean, std = mean_and_std(members, self)
        area = ops.erf((target - mean) / ops.square(std))
        return 0.2 * ops.square(area) + ops.sqrt(std)
