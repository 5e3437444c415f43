"""The decoder of one field: blocks that look back into the encoder's layers."""

from typing import Literal

import keras

from atmorep_k.components.blocks import TransformerBlock
from atmorep_k.errors import UserError
from atmorep_k.registry import Configured, component


@component("decoder")
class UNetDecoder(Configured, keras.layers.Layer):
    """Transformer whose blocks also attend to the encoder's layers, the last layer first.

    Like the skips of a U-Net: block i attends to encoder layer `last - int(i * cross_rate)`.
    Blocks beyond the encoder's first layer have self-attention only. AtmoRep (arXiv:2308.13280).

    Args:
        num_layers: number of blocks.
        num_heads: heads of each block.
        cross_ratio: share of the heads that attend to the encoder.
        cross_rate: encoder layers stepped back per block.
        mlp_ratio: see `MLP`.
        dropout: rate of dropout in each block.
        qk_norm: see `TransformerBlock`.
        output_activation: see `MLP`.

    Shapes:
        input: x (batch, token, channel) and the encoder's outputs, each (batch, other, channel)
        output: (batch, token, channel)

    Raises:
        UserError: where the share of heads is out of range.
    """

    def __init__(
        self,
        num_layers: int = 4,
        num_heads: int = 4,
        cross_ratio: float = 0.5,
        cross_rate: float = 1.0,
        mlp_ratio: float = 2.0,
        dropout: float = 0.0,
        qk_norm: Literal["none", "plain", "affine"] = "none",
        output_activation: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.cross_ratio = cross_ratio
        self.cross_rate = cross_rate
        self.mlp_ratio = mlp_ratio
        self.dropout = dropout
        self.qk_norm = qk_norm
        self.output_activation = output_activation
        if not 0 <= cross_ratio <= 1:
            raise UserError(
                f"UNetDecoder.cross_ratio is a share of the heads between 0 and 1, "
                f"not {cross_ratio}."
            )

    def build(self, x_shape, encoder_outputs_shape):
        """Makes the blocks for inputs of these shapes."""
        self.blocks = []
        for number in range(self.num_layers):
            layer = self._encoder_layer(number, len(encoder_outputs_shape))
            block = TransformerBlock(
                num_heads=self.num_heads,
                cross_heads=0 if layer is None else int(self.num_heads * self.cross_ratio),
                mlp_ratio=self.mlp_ratio,
                dropout=self.dropout,
                qk_norm=self.qk_norm,
                output_activation=self.output_activation,
                dtype=self.dtype_policy,
                name=f"block_{number}",
            )
            context_shape = None if layer is None else tuple(encoder_outputs_shape[layer])
            block.build(x_shape, context_shape)
            self.blocks.append(block)

    def _encoder_layer(self, number, num_encoder_layers):
        layer = num_encoder_layers - 1 - int(number * self.cross_rate)
        return layer if layer >= 0 else None

    def call(self, x, encoder_outputs, training=False):
        """Returns the decoded tokens."""
        for number, block in enumerate(self.blocks):
            layer = self._encoder_layer(number, len(encoder_outputs))
            context = None if layer is None else encoder_outputs[layer]
            x = block(x, context, training=training)
        return x
