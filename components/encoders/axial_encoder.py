"""The encoder of one field with attention along one axis at a time."""

from atmorep_k.components.blocks import AxialBlock
from atmorep_k.components.encoders.encoder import Encoder
from atmorep_k.registry import component


@component("encoder")
class AxialEncoder(Encoder):
    """Transformer whose tokens attend along space, time and level, see `AxialBlock`.

    Its cost grows with the length of an axis, where that of `DenseEncoder` grows with their
    product. AtmoRep's `axial` and `axial_parallel` (arXiv:2308.13280).

    Args:
        num_layers: number of blocks.
        num_heads: heads per axis of each block, those of couplings not counted.
        reserved_heads: see `AxialBlock`; the original reserves those of a coupling.
        parallel: see `AxialBlock`.
        mlp_ratio: see `MLP`.
        mlp_layers: see `MLP.num_layers`.
        dropout: rate of dropout in each block.
        mlp_norm: whether the input of the MLP is normalised.
        output_activation: see `MLP`.
        remat: compute the inside of each block again in the backward pass, see `recomputed`.

    Shapes:
        input: (batch, level, time, space, channel)
        output: list of `num_layers` arrays, as the input

    Raises:
        UserError: where there is no layer; see also `AxialBlock`.
    """

    def __init__(
        self,
        num_layers: int = 4,
        num_heads: int = 4,
        reserved_heads: int = 0,
        parallel: bool = False,
        mlp_ratio: float = 2.0,
        mlp_layers: int = 2,
        dropout: float = 0.0,
        mlp_norm: bool = True,
        output_activation: bool = False,
        remat: bool = False,
        **kwargs,
    ):
        super().__init__(num_layers, remat, **kwargs)
        self.num_heads = num_heads
        self.reserved_heads = reserved_heads
        self.parallel = parallel
        self.mlp_ratio = mlp_ratio
        self.mlp_layers = mlp_layers
        self.dropout = dropout
        self.mlp_norm = mlp_norm
        self.output_activation = output_activation

    def make_block(self, name):
        """Returns a new block."""
        return AxialBlock(
            num_heads=self.num_heads,
            reserved_heads=self.reserved_heads,
            parallel=self.parallel,
            mlp_ratio=self.mlp_ratio,
            mlp_layers=self.mlp_layers,
            dropout=self.dropout,
            mlp_norm=self.mlp_norm,
            output_activation=self.output_activation,
            dtype=self.dtype_policy,
            name=name,
        )
