"""The encoder of one field with attention of all its tokens to all."""

from typing import Literal

from atmorep_k.components.blocks import TransformerBlock
from atmorep_k.components.encoders.encoder import Encoder
from atmorep_k.registry import component


@component("encoder")
class DenseEncoder(Encoder):
    """Transformer over all tokens of a field, dense over levels, time and space.

    AtmoRep (arXiv:2308.13280). The decoder looks at every block's output, so all are returned.

    Args:
        num_layers: number of blocks.
        num_heads: heads of each block, those of couplings not counted.
        mlp_ratio: see `MLP`.
        mlp_layers: see `MLP.num_layers`.
        dropout: rate of dropout in each block.
        qk_norm: see `TransformerBlock`.
        norm: whether the inputs of attention and MLP are normalised.
        output_activation: see `MLP`.
        remat: compute the inside of each block again in the backward pass, see `recomputed`.

    Shapes:
        input: (batch, ..., channel)
        output: list of `num_layers` arrays, as the input

    Raises:
        UserError: where there is no layer.
    """

    def __init__(
        self,
        num_layers: int = 4,
        num_heads: int = 4,
        mlp_ratio: float = 2.0,
        mlp_layers: int = 2,
        dropout: float = 0.0,
        qk_norm: Literal["none", "plain", "affine"] = "none",
        norm: bool = True,
        output_activation: bool = False,
        remat: bool = False,
        **kwargs,
    ):
        super().__init__(num_layers, remat, **kwargs)
        self.num_heads = num_heads
        self.mlp_ratio = mlp_ratio
        self.mlp_layers = mlp_layers
        self.dropout = dropout
        self.qk_norm = qk_norm
        self.norm = norm
        self.output_activation = output_activation

    def make_block(self, name):
        """Returns a new block."""
        return TransformerBlock(
            num_heads=self.num_heads,
            mlp_ratio=self.mlp_ratio,
            mlp_layers=self.mlp_layers,
            dropout=self.dropout,
            qk_norm=self.qk_norm,
            norm=self.norm,
            mlp_norm=self.norm,
            output_activation=self.output_activation,
            dtype=self.dtype_policy,
            name=name,
        )
