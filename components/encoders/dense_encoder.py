"""The encoder of one field: transformer blocks over all its tokens at once."""

from typing import Literal

import keras

from atmorep_k.components.blocks import TransformerBlock
from atmorep_k.errors import UserError
from atmorep_k.registry import Configured, component


@component("encoder")
class DenseEncoder(Configured, keras.layers.Layer):
    """Transformer over all tokens of a field, dense over levels, time and space.

    AtmoRep (arXiv:2308.13280). The decoder looks at every block's output, so all are returned.

    Args:
        num_layers: number of blocks.
        num_heads: heads of each block.
        mlp_ratio: see `MLP`.
        dropout: rate of dropout in each block.
        qk_norm: see `TransformerBlock`.
        output_activation: see `MLP`.

    Shapes:
        input: (batch, token, channel)
        output: list of `num_layers` arrays (batch, token, channel)

    Raises:
        UserError: where there is no layer.
    """

    def __init__(
        self,
        num_layers: int = 4,
        num_heads: int = 4,
        mlp_ratio: float = 2.0,
        dropout: float = 0.0,
        qk_norm: Literal["none", "plain", "affine"] = "none",
        output_activation: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.mlp_ratio = mlp_ratio
        self.dropout = dropout
        self.qk_norm = qk_norm
        self.output_activation = output_activation
        if num_layers < 1:
            raise UserError(f"DenseEncoder.num_layers must be at least 1, not {num_layers}.")

    def build(self, input_shape):
        """Makes the blocks."""
        self.blocks = []
        for number in range(self.num_layers):
            block = TransformerBlock(
                num_heads=self.num_heads,
                mlp_ratio=self.mlp_ratio,
                dropout=self.dropout,
                qk_norm=self.qk_norm,
                output_activation=self.output_activation,
                dtype=self.dtype_policy,
                name=f"block_{number}",
            )
            block.build(input_shape)
            self.blocks.append(block)

    def call(self, x, training=False):
        """Returns the output of every block, the last one last."""
        outputs = []
        for block in self.blocks:
            x = block(x, training=training)
            outputs.append(x)
        return outputs
