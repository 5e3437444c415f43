"""Squared errors: of each member, of their mean, and weighted by latitude."""

import math

from keras import ops

from atmorep_k.components.losses.ensemble_loss import EnsembleLoss
from atmorep_k.errors import UserError
from atmorep_k.registry import component


@component("loss")
class EnsembleMSE(EnsembleLoss):
    """Squared error of each member, mean over the members: (1/M) sum_m (e_m - y)^2.

    AtmoRep's `mse_ensemble` (arXiv:2308.13280). On its own it drives the spread to 0.
    """

    def score(self, target, members):
        """Returns the members' mean squared error of each value."""
        return ops.mean(ops.square(members - target[..., None, :]), axis=-2)


@component("loss")
class MeanMSE(EnsembleLoss):
    """Squared error of the ensemble mean: (mean_m e_m - y)^2. It leaves the spread free."""

    def score(self, target, members):
        """Returns the squared error of the mean of each value."""
        return ops.square(ops.mean(members, axis=-2) - target)


@component("loss")
class LatitudeWeightedMSE(EnsembleMSE):
    """Squared error of each member, weighted by the cosine of the latitude of each value.

    A latitude-longitude grid then counts by area. Windows drawn uniformly in area have that
    weight already: with them this counts the tropics twice.
    """

    def value_weight(self, latitude):
        """Returns cos(latitude), 0 at the poles; UserError without latitudes."""
        if latitude is None:
            raise UserError("LatitudeWeightedMSE needs the argument latitude, but got None.")
        return ops.maximum(ops.cos(latitude * (math.pi / 180.0)), 0.0)
