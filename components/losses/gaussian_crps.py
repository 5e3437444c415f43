"""The continuous ranked probability score of the ensemble's Gaussian."""

import math

from keras import ops

from atmorep_k.components.losses.ensemble_loss import EnsembleLoss, mean_and_std
from atmorep_k.registry import component


@component("loss")
class GaussianCRPS(EnsembleLoss):
    """CRPS of a Gaussian with the members' mean and standard deviation, in closed form.

    sigma (z (2 Phi(z) - 1) + 2 phi(z) - 1 / sqrt(pi)) with z = (y - mu) / sigma; Phi and phi are
    distribution and density of the standard normal (Gneiting & Raftery 2007, eq. 21,
    doi:10.1198/016214506000001437). The original's `crps` lacks 1 / sqrt(2 pi) in both and is not
    a proper score. sigma is unbiased and at least 1e-7, see `mean_and_std`.
    """

    def score(self, target, members):
        """Returns the CRPS of each value; UserError for a single member."""
        mean, std = mean_and_std(members, self)
        z = (target - mean) / std
        twice_density = math.sqrt(2.0 / math.pi) * ops.exp(-0.5 * ops.square(z))
        bracket = z * ops.erf(z / math.sqrt(2.0)) + twice_density - 1.0 / math.sqrt(math.pi)
        return std * bracket
