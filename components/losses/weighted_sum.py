"""The weighted mean of several losses."""

import math
from collections.abc import Sequence

import keras

from atmorep_k.components.losses.ensemble_loss import EnsembleLoss
from atmorep_k.errors import UserError
from atmorep_k.registry import component


@component("loss")
class WeightedSum(EnsembleLoss):
    """Sum of losses divided by the sum of their weights: sum_i w_i L_i / sum_i w_i.

    The original's default is that of `EnsembleMSE` and `StatisticalLoss` with equal weights.

    Args:
        losses: the losses; each weights its values by its own `value_weight`.
        weights: one number >= 0 per loss, not all 0.
        name: name of the loss.

    Raises:
        UserError: if the weights or their number differ.
    """

    def __init__(
        self,
        losses: Sequence[EnsembleLoss],
        weights: Sequence[float],
        name: str | None = None,
    ):
        super().__init__(name=name)
        if len(losses) != len(weights) or not losses:
            raise UserError(
                f"WeightedSum has {len(losses)} losses and {len(weights)} weights; give one weight "
                "for each of at least one loss."
            )
        if not all(0.0 <= w < math.inf for w in weights) or not sum(weights) > 0.0:
            raise UserError(
                f"WeightedSum.weights are {list(weights)}; allowed are finite numbers >= 0, "
                "not all 0."
            )
        self.losses = list(losses)
        self.weights = list(weights)

    def score(self, target, members):
        """Returns the weighted mean of the losses' scores, without their `value_weight`."""
        return self._combine(loss.score(target, members) for loss in self.losses)

    def weighted_mean(self, target, members, weight, latitude):
        """Returns the weighted mean of the losses."""
        return self._combine(
            loss.weighted_mean(target, members, weight, latitude) for loss in self.losses
        )

    def _combine(self, terms):
        pairs = zip(self.weights, terms, strict=True)
        return sum(weight * term for weight, term in pairs) / sum(self.weights)

    def get_config(self):
        """Returns the constructor's arguments."""
        losses = [keras.saving.serialize_keras_object(loss) for loss in self.losses]
        return {**super().get_config(), "losses": losses, "weights": self.weights}

    @classmethod
    def from_config(cls, config):
        """Returns the loss that `get_config` described."""
        losses = [keras.saving.deserialize_keras_object(loss) for loss in config["losses"]]
        return cls(**{**config, "losses": losses})
