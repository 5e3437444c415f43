"""The squared error of the members, weighted by area."""

import math

from keras import ops

from atmorep_k.components.losses.ensemble_mse import EnsembleMSE
from atmorep_k.errors import UserError
from atmorep_k.registry import component


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
