"""An ensemble of linear tails, computed as one matrix product."""

import keras
from keras import ops

from atmorep_k.registry import Configured, component


@component("tail")
class LinearEnsemble(Configured, keras.layers.Layer):
    """Predicts the values of a token by an ensemble of layer norms with linear maps behind them.

    Member m: W_m (g_m * x' + c_m) + b_m with x' the normalised input (AtmoRep,
    arXiv:2308.13280). The scale is drawn into the weights, so that all members are one product.
    Always float32: the members' spread is a small difference.

    Args:
        num_members: size of the ensemble.
        token_values: values of a token; set by the model.

    Shapes:
        input: (batch, level, masked, channel)
        output: (batch, level, masked, member, value)
    """

    def __init__(self, num_members: int = 16, token_values: int = 1, **kwargs):
        kwargs["dtype"] = "float32"
        super().__init__(**kwargs)
        self.num_members = num_members
        self.token_values = token_values

    def build(self, input_shape):
        """Makes each member's norm and linear map, members drawn independently."""
        channels, members = input_shape[-1], self.num_members
        self.norm = keras.layers.LayerNormalization(
            epsilon=1e-5, center=False, scale=False, dtype="float32", name="norm"
        )
        self.norm.build(input_shape)
        self.scale = self.add_weight((channels, members), "ones", name="scale")
        self.shift = self.add_weight((channels, members), "zeros", name="shift")
        self.kernel, self.bias = self.add_member_map(channels, self.token_values)

    def add_member_map(self, channels: int, units: int, prefix: str = ""):
        """Returns kernel (channel, member, unit) and bias (member, unit) of a linear map each."""
        bound = channels**-0.5
        uniform, members = keras.initializers.RandomUniform(-bound, bound), self.num_members
        kernel = self.add_weight((channels, members, units), uniform, name=f"{prefix}kernel")
        return kernel, self.add_weight((members, units), uniform, name=f"{prefix}bias")

    def first_map(self, x, kernel, bias):
        """Returns what the members' norms and a linear map make of `x`, which is normalised.

        Args:
            x: (..., channel).
            kernel: (channel, member, unit).
            bias: (member, unit).

        Returns:
            (..., member, unit).
        """
        channels, members, units = kernel.shape
        bias = ops.einsum("cm,cmv->mv", self.shift, kernel) + bias
        kernel = ops.reshape(kernel * self.scale[..., None], (channels, members * units))
        product = ops.matmul(x, kernel) + ops.reshape(bias, (-1,))
        return ops.reshape(product, (*ops.shape(x)[:-1], members, units))

    def call(self, x):
        """Returns the members' values."""
        return self.first_map(self.norm(x), self.kernel, self.bias)
