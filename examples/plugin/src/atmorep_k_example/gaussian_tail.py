"""A tail that predicts a distribution in place of members."""

import statistics

import keras
import numpy as np
from keras import ops

from atmorep_k.errors import UserError
from atmorep_k.registry import Configured, component


@component("tail")
class GaussianTail(Configured, keras.layers.Layer):
    """Predicts mean and standard deviation of each value; members are quantiles of the Gaussian.

    Member m of M: mean + std z_m, where z_m is the quantile (m - 1/2) / M of the standard normal,
    scaled so that the members' unbiased variance is std^2. It has 2 / M of the weights of a
    `LinearEnsemble`, and the ensemble can have another size without training anew. In return the
    members are those of each point alone: member 1 is the lowest everywhere, so that no member is
    a likely map. Always float32.

    Args:
        num_members: size of the ensemble, at least 2.
        token_values: values of a token; set by the model.

    Shapes:
        input: (batch, level, masked, channel)
        output: (batch, level, masked, member, value)

    Raises:
        UserError: for less than two members, which have no spread.
    """

    def __init__(self, num_members: int = 16, token_values: int = 1, **kwargs):
        kwargs["dtype"] = "float32"
        super().__init__(**kwargs)
        self.num_members = num_members
        self.token_values = token_values
        if num_members < 2:
            raise UserError(f"GaussianTail.num_members must be at least 2, not {num_members}.")

    def build(self, input_shape):
        """Makes the layer norm and the linear maps to mean and (before softplus) deviation."""
        self.norm = keras.layers.LayerNormalization(epsilon=1e-5, dtype="float32", name="norm")
        self.mean = keras.layers.Dense(self.token_values, dtype="float32", name="mean")
        self.deviation = keras.layers.Dense(self.token_values, dtype="float32", name="deviation")
        for layer in (self.norm, self.mean, self.deviation):
            layer.build(input_shape)

    def call(self, x):
        """Returns the members' values."""
        x = self.norm(x)
        mean, std = self.mean(x), ops.softplus(self.deviation(x))
        places = ops.convert_to_tensor(places_of_members(self.num_members))
        return mean[..., None, :] + std[..., None, :] * places[:, None]


def places_of_members(number: int) -> np.ndarray:
    """Returns where members lie, (member,) float32 in standard deviations from the mean.

    They ascend, lie evenly in probability about 0, and have the unbiased variance 1.
    """
    quantile = statistics.NormalDist().inv_cdf
    places = np.array([quantile((member + 0.5) / number) for member in range(number)])
    return (places / places.std(ddof=1)).astype("float32")
