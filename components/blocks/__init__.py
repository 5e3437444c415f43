"""Parts that encoders and decoders are made of."""

from atmorep_k.components.blocks.attention_heads import AttentionHeads
from atmorep_k.components.blocks.axial_block import AxialBlock
from atmorep_k.components.blocks.mlp import MLP
from atmorep_k.components.blocks.transformer_block import TransformerBlock

__all__ = ["MLP", "AttentionHeads", "AxialBlock", "TransformerBlock"]
