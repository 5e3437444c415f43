"""The two-layer net behind the attention of a transformer block."""

import random

import keras
from keras import ops

from atmorep_k.registry import Configured, component


@component("block")
class MLP(Configured, keras.layers.Layer):
    """Layer norm, linear map to a wider layer, GELU, dropout, linear map back, residual.

    Args:
        ratio: width of the hidden layer relative to the input.
        dropout: rate of dropout behind the hidden layer.
        output_activation: apply GELU also behind the last linear map; a habit of the original
            AtmoRep that its released weights rely on.

    Shapes:
        input and output: (batch, token, channel)
    """

    def __init__(
        self,
        ratio: float = 2.0,
        dropout: float = 0.0,
        output_activation: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.ratio = ratio
        self.dropout = dropout
        self.output_activation = output_activation

    def build(self, input_shape):
        """Makes the norm and the two linear maps."""
        channels = input_shape[-1]
        wide = int(self.ratio * channels)
        self.norm = plain_norm("norm", self.dtype_policy)
        self.widen = keras.layers.Dense(wide, dtype=self.dtype_policy, name="widen")
        self.drop = seeded_dropout(self.dropout, self.dtype_policy)
        self.narrow = keras.layers.Dense(channels, dtype=self.dtype_policy, name="narrow")
        self.norm.build(input_shape)
        self.widen.build(input_shape)
        self.narrow.build((*input_shape[:-1], wide))

    def call(self, x, training=False):
        """Returns the input plus what the net makes of it."""
        hidden = ops.gelu(self.widen(self.norm(x)), approximate=False)
        change = self.narrow(self.drop(hidden, training=training))
        if self.output_activation:
            change = ops.gelu(change, approximate=False)
        return x + change


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
