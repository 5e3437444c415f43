"""The net behind the attention of a transformer block."""

import random

import keras
from keras import ops

from atmorep_k.errors import UserError
from atmorep_k.registry import Configured, component


@component("block")
class MLP(Configured, keras.layers.Layer):
    """Layer norm, linear map to a wider layer, GELU, dropout, linear map back, residual.

    Args:
        ratio: width of the hidden layers relative to the input.
        dropout: rate of dropout behind each hidden layer.
        num_layers: linear maps, at least 2; those between the first and the last keep the width.
        norm: whether the input is normalised.
        output_activation: apply GELU also behind the last linear map; a habit of the original
            AtmoRep that its released weights rely on.

    Shapes:
        input and output: (batch, ..., channel)

    Raises:
        UserError: if there are fewer than two linear maps.
    """

    def __init__(
        self,
        ratio: float = 2.0,
        dropout: float = 0.0,
        num_layers: int = 2,
        norm: bool = True,
        output_activation: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.ratio = ratio
        self.dropout = dropout
        self.num_layers = num_layers
        self.norm = norm
        self.output_activation = output_activation
        if num_layers < 2:
            raise UserError(f"MLP.num_layers must be at least 2, not {num_layers}.")

    def build(self, input_shape):
        """Makes the norm and the linear maps."""
        channels = input_shape[-1]
        wide = int(self.ratio * channels)
        self.input_norm = plain_norm("norm", self.dtype_policy) if self.norm else None
        self.widen = self._linear(wide, "widen", channels)
        self.drop = seeded_dropout(self.dropout, self.dtype_policy)
        self.hidden = [
            self._linear(wide, f"hidden_{number}", wide) for number in range(1, self.num_layers - 1)
        ]
        self.narrow = self._linear(channels, "narrow", wide)
        if self.input_norm is not None:
            self.input_norm.build(input_shape)

    def _linear(self, units, name, width):
        layer = keras.layers.Dense(units, dtype=self.dtype_policy, name=name)
        layer.build((None, width))
        return layer

    def call(self, x, training=False):
        """Returns the input plus what the net makes of it."""
        change = x if self.input_norm is None else self.input_norm(x)
        for linear in (self.widen, *self.hidden):
            change = self.drop(gelu(linear(change)), training=training)
        change = self.narrow(change)
        if self.output_activation:
            change = gelu(change)
        return x + change


def gelu(x):
    """Returns x Phi(x) with the exact distribution of the normal (Hendrycks & Gimpel 2016)."""
    return ops.gelu(x, approximate=False)


def seeded_dropout(rate: float, dtype) -> keras.layers.Dropout:
    """Returns a dropout whose draws follow from its own state alone, which a model saves.

    Without a seed Keras would draw from PyTorch's global state on that backend.
    """
    seed = random.randint(1, 10**9)  # as Keras draws it: keras.utils.set_random_seed decides
    return keras.layers.Dropout(rate, seed=seed, dtype=dtype, name="drop")


def plain_norm(name: str, dtype, affine: bool = False) -> keras.layers.LayerNormalization:
    """Returns a layer norm, without scale and shift unless `affine` (epsilon as in PyTorch)."""
    return keras.layers.LayerNormalization(
        epsilon=1e-5, center=affine, scale=affine, dtype=dtype, name=name
    )
