"""The squared error of the members."""

from keras import ops

from atmorep_k.components.losses.ensemble_loss import EnsembleLoss
from atmorep_k.registry import component


@component("loss")
class EnsembleMSE(EnsembleLoss):
    """Squared error of each member, mean over the members: (1/M) sum_m (e_m - y)^2.

    AtmoRep's `mse_ensemble` (arXiv:2308.13280). On its own it drives the spread to 0.
    """

    def score(self, target, members):
        """Returns the members' mean squared error of each value."""
        return ops.mean(ops.square(members - target[..., None, :]), axis=-2)
