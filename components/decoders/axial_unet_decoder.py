"""The decoder of one field with attention along one axis at a time."""

from typing import Literal

from atmorep_k.components.blocks import AxialBlock
from atmorep_k.components.decoders.unet_decoder import UNetDecoder
from atmorep_k.registry import component


@component("decoder")
class AxialUNetDecoder(UNetDecoder):
    """`UNetDecoder` whose blocks attend along space, time and level, see `AxialBlock`.

    Blocks without the encoder, and the attention before a block, are dense as in `UNetDecoder`.

    Args:
        num_layers: see `UNetDecoder`.
        num_heads: see `UNetDecoder`.
        cross_ratio: see `UNetDecoder`.
        cross_rate: see `UNetDecoder`.
        self_attention: see `UNetDecoder`.
        parallel: see `AxialBlock`.
        mlp_ratio: see `MLP`.
        mlp_layers: see `MLP.num_layers`.
        dropout: rate of dropout in each block.
        self_qk_norm: layer norm of queries and keys in dense blocks, see `TransformerBlock`.
        mlp_norm: whether the input of each MLP is normalised.
        output_activation: see `MLP`.
        remat: compute the inside of each block again in the backward pass, see `recomputed`.

    Shapes:
        input: x (batch, level, time, space, channel) and the encoder's outputs, likewise
        output: as x
    """

    def __init__(
        self,
        num_layers: int = 4,
        num_heads: int = 4,
        cross_ratio: float = 0.5,
        cross_rate: float = 1.0,
        self_attention: bool = False,
        parallel: bool = False,
        mlp_ratio: float = 2.0,
        mlp_layers: int = 2,
        dropout: float = 0.0,
        self_qk_norm: Literal["none", "plain", "affine"] = "none",
        mlp_norm: bool = True,
        output_activation: bool = False,
        remat: bool = False,
        **kwargs,
    ):
        super().__init__(
            num_layers=num_layers,
            num_heads=num_heads,
            cross_ratio=cross_ratio,
            cross_rate=cross_rate,
            self_attention=self_attention,
            mlp_ratio=mlp_ratio,
            mlp_layers=mlp_layers,
            dropout=dropout,
            self_qk_norm=self_qk_norm,
            mlp_norm=mlp_norm,
            output_activation=output_activation,
            remat=remat,
            **kwargs,
        )
        self.parallel = parallel

    def make_cross_block(self, name):
        """Returns a new block that attends to the encoder."""
        return AxialBlock(
            num_heads=self.num_heads,
            cross_heads=self.cross_heads,
            parallel=self.parallel,
            **self.net_options(name),
        )
