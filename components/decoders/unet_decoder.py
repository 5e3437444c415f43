"""The decoder of one field: blocks that look back into the encoder's layers."""

import keras

from atmorep_k.components.blocks import TransformerBlock
from atmorep_k.components.blocks.recomputed import run_block
from atmorep_k.components.blocks.template import Template, Templated
from atmorep_k.errors import UserError
from atmorep_k.registry import component


@component("decoder")
class UNetDecoder(Templated):
    """Transformer whose blocks also attend to the encoder's layers, the last layer first.

    Like the skips of a U-Net: block i attends to encoder layer `last - int(i * cross_rate)`.
    Blocks beyond the number of encoder layers, or beyond the first layer, have self-attention
    only. AtmoRep (arXiv:2308.13280).

    Args:
        num_layers: number of blocks.
        block: what each block is like: `TransformerBlock` (also where it is None) or `AxialBlock`.
        self_block: likewise of blocks and attention without the encoder; None: as `block`. The
            original has dense ones there beside axial blocks, and in 2024 without weights in their
            norms of queries and keys.
        cross_ratio: share of a block's heads that attend to the encoder.
        cross_rate: encoder layers stepped back per block.
        self_attention: whether an attention of all heads to the tokens themselves, with a residual
            of its own, comes before each block that attends to the encoder (Vaswani et al. 2017).
        remat: compute the inside of each block again in the backward pass, see `recomputed`.

    Shapes:
        input: x (batch, ..., channel) and the encoder's outputs, each (batch, ..., channel)
        output: as x

    Raises:
        UserError: if the share of heads is out of range.
    """

    def __init__(
        self,
        num_layers: int = 4,
        block: keras.layers.Layer | None = None,
        self_block: keras.layers.Layer | None = None,
        cross_ratio: float = 0.5,
        cross_rate: float = 1.0,
        self_attention: bool = False,
        remat: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_layers = num_layers
        self.block = Template(block or TransformerBlock())
        self.self_block = Template(self_block) if self_block else None
        self.cross_ratio = cross_ratio
        self.cross_rate = cross_rate
        self.self_attention = self_attention
        self.remat = remat
        if not 0 <= cross_ratio <= 1:
            raise UserError(
                f"UNetDecoder.cross_ratio is a share of the heads between 0 and 1, "
                f"not {cross_ratio}."
            )

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
            self.blocks.append(self._cross_block(f"block_{number}"))
            self.blocks[-1].build(x_shape, tuple(encoder_outputs_shape[layer]))

    def _cross_block(self, name):
        heads = int(self.block.layer.num_heads * self.cross_ratio)
        return self.block.make(cross_heads=heads, name=name, dtype=self.dtype_policy)

    def _self_block(self, name, **changes):
        template = self.self_block or self.block
        return template.make(**changes, name=name, dtype=self.dtype_policy)

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
