"""Linear embedding of space-time cuboids."""

import keras

from atmorep_k.registry import Configured, component


@component("tokenizer")
class CuboidTokenizer(Configured, keras.layers.Layer):
    """Embeds each token, a small cuboid of a field, by one linear map of its values.

    AtmoRep (Lessig et al. 2023, arXiv:2308.13280). The cutting is `atmorep_k.batch.tokenize`.

    Args:
        embed_dim: channels of the result; set by the model.

    Shapes:
        input: (batch, level, time, lat, lon, value), normalised values of each token
        output: (batch, level, time, lat, lon, embed_dim)
    """

    def __init__(self, embed_dim: int = 64, **kwargs):
        super().__init__(**kwargs)
        self.embed_dim = embed_dim

    def build(self, input_shape):
        """Makes the linear map for tokens of `input_shape[-1]` values."""
        self.linear = keras.layers.Dense(self.embed_dim, dtype=self.dtype_policy, name="linear")
        self.linear.build(input_shape)

    def call(self, tokens):
        """Returns the embedded tokens."""
        return self.linear(tokens)
