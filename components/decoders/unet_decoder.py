"""The decoder of one field: blocks that look back into the encoder's layers."""

from typing import Literal

import keras

from atmorep_k.components.blocks import TransformerBlock
from atmorep_k.components.blocks.recomputed import run_block
from atmorep_k.errors import UserError
from atmorep_k.registry import Configured, component


@component("decoder")
class UNetDecoder(Configured, keras.layers.Layer):
    """Transformer whose blocks also attend to the encoder's layers, the last layer first.

    Like the skips of a U-Net: block i attends to encoder layer `last - int(i * cross_rate)`.
    Blocks beyond the number of encoder layers, or beyond the first layer, have self-attention
    only. AtmoRep (arXiv:2308.13280).

    Args:
        num_layers: number of blocks.
        num_heads: heads of each block.
        cross_ratio: share of the heads that attend to the encoder.
        cross_rate: encoder layers stepped back per block.
        self_attention: whether an attention of all heads to the tokens themselves, with a residual
            of its own, comes before each block that attends to the encoder (Vaswani et al. 2017).
        mlp_ratio: see `MLP`.
        mlp_layers: see `MLP.num_layers`.
        dropout: rate of dropout in each block.
        qk_norm: see `TransformerBlock`.
        self_qk_norm: likewise for blocks and attention without the encoder; None: as `qk_norm`. The
            original of 2024 has weights in the former and none in the latter.
        mlp_norm: whether the input of each MLP is normalised.
        output_activation: see `MLP`.
        remat: compute the inside of each block again in the backward pass, see `recomputed`.

    Shapes:
        input: x (batch, ..., channel) and the encoder's outputs, each (batch, ..., channel)
        output: as x

    Raises:
        UserError: where the share of heads is out of range.
    """

    def __init__(
        self,
        num_layers: int = 4,
        num_heads: int = 4,
        cross_ratio: float = 0.5,
        cross_rate: float = 1.0,
        self_attention: bool = False,
        mlp_ratio: float = 2.0,
        mlp_layers: int = 2,
        dropout: float = 0.0,
        qk_norm: Literal["none", "plain", "affine"] = "none",
        self_qk_norm: Literal["none", "plain", "affine"] | None = None,
        mlp_norm: bool = True,
        output_activation: bool = False,
        remat: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.cross_ratio = cross_ratio
        self.cross_rate = cross_rate
        self.self_attention = self_attention
        self.mlp_ratio = mlp_ratio
        self.mlp_layers = mlp_layers
        self.dropout = dropout
        self.qk_norm = qk_norm
        self.self_qk_norm = self_qk_norm
        self.mlp_norm = mlp_norm
        self.output_activation = output_activation
        self.remat = remat
        if not 0 <= cross_ratio <= 1:
            raise UserError(
                f"{type(self).__name__}.cross_ratio is a share of the heads between 0 and 1, "
                f"not {cross_ratio}."
            )

    @property
    def cross_heads(self) -> int:
        """The heads of a block that attend to the encoder."""
        return int(self.num_heads * self.cross_ratio)

    def build(self, x_shape, encoder_outputs_shape):
        """Makes the blocks for inputs of these shapes."""
        self.blocks, self.self_blocks = [], []
        for number in range(self.num_layers):
            layer = self.encoder_layer(number, len(encoder_outputs_shape))
            if layer is None:
                self.blocks.append(self._self_block(f"block_{number}"))
                self.blocks[-1].build(x_shape)
                continue
            if self.self_attention:
                self.self_blocks.append(self._self_block(f"self_{number}", mlp_layers=0))
                self.self_blocks[-1].build(x_shape)
            self.blocks.append(self.make_cross_block(f"block_{number}"))
            self.blocks[-1].build(x_shape, tuple(encoder_outputs_shape[layer]))

    def make_cross_block(self, name):
        """Returns a new block that attends to the encoder."""
        return TransformerBlock(
            num_heads=self.num_heads,
            cross_heads=self.cross_heads,
            qk_norm=self.qk_norm,
            **self.net_options(name),
        )

    def _self_block(self, name, **changes):
        qk_norm = self.qk_norm if self.self_qk_norm is None else self.self_qk_norm
        options = {**self.net_options(name), **changes}
        return TransformerBlock(num_heads=self.num_heads, qk_norm=qk_norm, **options)

    def net_options(self, name):
        """Returns the arguments that all kinds of blocks have in common."""
        return {
            "mlp_ratio": self.mlp_ratio,
            "mlp_layers": self.mlp_layers,
            "dropout": self.dropout,
            "mlp_norm": self.mlp_norm,
            "output_activation": self.output_activation,
            "dtype": self.dtype_policy,
            "name": name,
        }

    def encoder_layer(self, number, num_encoder_layers):
        """Returns the encoder's layer that block `number` attends to, None for none."""
        layer = num_encoder_layers - 1 - int(number * self.cross_rate)
        return layer if layer >= 0 and number < num_encoder_layers else None

    def inputs_of(self, number, x, encoder_outputs, training=False):
        """Returns the tokens and the context that block `number` takes.

        Args:
            number: which block.
            x: output of the block before it.
            encoder_outputs: outputs of the encoder's blocks.
            training: whether dropout acts.
        """
        layer = self.encoder_layer(number, len(encoder_outputs))
        if layer is None:
            return x, None
        if self.self_attention:
            x = run_block(self.self_blocks[number], self.remat, x, training=training)
        return x, encoder_outputs[layer]

    def call(self, x, encoder_outputs, training=False):
        """Returns the decoded tokens."""
        for number, block in enumerate(self.blocks):
            x, context = self.inputs_of(number, x, encoder_outputs, training)
            x = run_block(block, self.remat, x, context, training=training)
        return x
