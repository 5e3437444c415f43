"""The squared error of the ensemble mean."""

from keras import ops

from atmorep_k.components.losses.ensemble_loss import EnsembleLoss
from atmorep_k.registry import component


@component("loss")
class MeanMSE(EnsembleLoss):
    """Squared error of the ensemble mean: (mean_m e_m - y)^2. It leaves the spread free."""

    def score(self, target, members):
        """Returns the squared error of the mean of each value."""
        return ops.square(ops.mean(members, axis=-2) - target)
