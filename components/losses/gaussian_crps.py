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
    doi:10.1198/016214506000001437). sigma is unbiased and at least 1e-7, see `mean_and_std`.

    Args:
        original_constants: leave out the factor 1 / sqrt(2 pi) in Phi and phi, as the original's
            `crps` does by mistake: no proper score, only to compare with its numbers.
        name: name of the loss.
    """

    def __init__(self, original_constants: bool = False, name: str | None = None):
        super().__init__(name=name)
        self.original_constants = original_constants

    def score(self, target, members):
        """Returns the CRPS of each value; UserError for a single member."""
        mean, std = mean_and_std(members, self)
        z = (target - mean) / std
        factor = math.sqrt(2.0 * math.pi) if self.original_constants else 1.0
        twice_density = factor * math.sqrt(2.0 / math.pi) * ops.exp(-0.5 * ops.square(z))
        twice_distribution = factor * (1.0 + ops.erf(z / math.sqrt(2.0)))
        return std * (z * (twice_distribution - 1.0) + twice_density - 1.0 / math.sqrt(math.pi))

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "original_constants": self.original_constants}
