"""Base of all losses: the weighted mean of a score of each value of an ensemble."""

import keras
from keras import ops

from atmorep_k.backend import replicas
from atmorep_k.errors import UserError

# Added to the variance over the members, so that its root has a gradient where they all agree.
# A standard deviation above 1e-3 stays the same bit for bit: float32 rounds the addition away.
VARIANCE_EPSILON = 1e-14


class EnsembleLoss(keras.losses.Loss):
    """Weighted mean of `score` over all values, in float32 whatever the model's precision.

    A subclass gives `score`, and `value_weight` where values count differently.

    Args:
        name: name of the loss.
    """

    def __init__(self, name: str | None = None):
        super().__init__(name=name, dtype="float32")

    def score(self, target, members):
        """Returns the score of each value (batch, level, masked, value), less is better.

        Args:
            target: (batch, level, masked, value) float32.
            members: (batch, level, masked, member, value) float32.
        """
        raise NotImplementedError

    def value_weight(self, latitude):
        """Returns the weight of values at a latitude (batch, level, masked, value) in degrees."""
        return 1.0

    def weighted_mean(self, target, members, weight, latitude):
        """Returns the mean of the score with weights (batch, level, masked, value).

        Of replicas that share a batch each returns what its rows add to the mean of all.
        """
        weight = weight * self.value_weight(latitude)
        total = replicas.total(ops.sum(weight))
        weighted = ops.sum(weight * self.score(target, members))
        return weighted / ops.where(total > 0.0, total, 1.0)

    def call(self, y_true, y_pred):
        """Returns the score of each value."""
        return self.score(y_true, y_pred)

    def __call__(self, y_true, y_pred, sample_weight=None, latitude=None):
        """Returns the loss, sum(w * score) / sum(w), or 0 where all weights are 0.

        A slot of weight 0 has no influence on loss and gradients, whatever it holds, NaN included.

        Args:
            y_true: target (batch, level, masked, value).
            y_pred: members (batch, level, masked, member, value).
            sample_weight: (batch, level, masked); None for 1.
            latitude: (batch, level, masked, value) in degrees, for losses that depend on it.
        """
        with keras.name_scope(self.name):
            target = ops.convert_to_tensor(y_true, dtype="float32")
            members = ops.convert_to_tensor(y_pred, dtype="float32")
            weight = ops.ones_like(target)
            if sample_weight is not None:
                slot = ops.convert_to_tensor(sample_weight, dtype="float32")[..., None]
                # Set to 0 before the score: 0 times an overflow would be NaN, in gradients too.
                target = ops.where(slot > 0.0, target, 0.0)
                members = ops.where((slot > 0.0)[..., None], members, 0.0)
                weight = weight * slot
            if latitude is not None:
                latitude = ops.convert_to_tensor(latitude, dtype="float32")
            return self.weighted_mean(target, members, weight, latitude)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {"name": self.name}


def num_members(members, loss: keras.losses.Loss) -> int:
    """Returns the number of members, of which `loss` needs at least two.

    Args:
        members: (batch, level, masked, member, value).
        loss: named in the error.

    Raises:
        UserError: if there is a single member, which has no spread.
    """
    number = members.shape[-2]
    if number < 2:
        raise UserError(
            f"{type(loss).__name__} scores the spread of an ensemble and needs at least 2 members, "
            f"not {number}: raise num_members of the tail or choose EnsembleMSE."
        )
    return number


def mean_and_std(members, loss: keras.losses.Loss):
    """Returns the mean and the unbiased standard deviation over the members.

    The standard deviation is sqrt(variance + 1e-14): at least 1e-7, with finite gradients where
    all members are equal. Above 1e-3 the addition is lost in the rounding of float32.

    Args:
        members: (batch, level, masked, member, value).
        loss: named in the error.

    Raises:
        UserError: if there is a single member.
    """
    degrees_of_freedom = num_members(members, loss) - 1
    mean = ops.mean(members, axis=-2)
    squares = ops.sum(ops.square(members - mean[..., None, :]), axis=-2)
    return mean, ops.sqrt(squares / degrees_of_freedom + VARIANCE_EPSILON)
