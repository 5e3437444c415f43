"""One transformer block: attention to oneself, to a context and to other fields, and a net."""

import math
from typing import Literal

import keras
from keras import ops

from atmorep_k.components.blocks.attention_heads import AttentionHeads
from atmorep_k.components.blocks.coupled_block import CoupledBlock
from atmorep_k.components.blocks.materialized import materialized
from atmorep_k.components.blocks.mlp import seeded_dropout
from atmorep_k.errors import UserError
from atmorep_k.registry import component


@component("block")
class TransformerBlock(CoupledBlock):
    """Pre-norm block x + W [self heads, cross heads] + couplings, then the MLP with its residual.

    Args:
        num_heads: heads in total, those of couplings not counted.
        cross_heads: how many of them attend to the context instead of to `x` itself.
        mlp_ratio: see `MLP`.
        mlp_layers: see `MLP.num_layers`; 0 for no MLP.
        dropout: rate of dropout behind the projection and in the MLP.
        qk_norm: layer norm of each head's queries and keys: `"none"`, `"plain"` (no weights) or
            `"affine"` (weights shared by the heads and by self and cross attention).
        norm: whether `x`, context and other fields are normalised before the attention.
        mlp_norm: whether the input of the MLP is normalised.
        output_activation: see `MLP`.

    Shapes:
        input: x (batch, ..., channel), context (batch, ..., channel) where `cross_heads` > 0,
            others {field: (batch, ..., channel)} of the fields it is coupled to
        output: as x

    Raises:
        UserError: if the channels are not divisible by the heads.
    """

    def __init__(
        self,
        num_heads: int = 4,
        cross_heads: int = 0,
        mlp_ratio: float = 2.0,
        mlp_layers: int = 2,
        dropout: float = 0.0,
        qk_norm: Literal["none", "plain", "affine"] = "none",
        norm: bool = True,
        mlp_norm: bool = True,
        output_activation: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.cross_heads = cross_heads
        self.mlp_ratio = mlp_ratio
        self.mlp_layers = mlp_layers
        self.dropout = dropout
        self.qk_norm = qk_norm
        self.norm = norm
        self.mlp_norm = mlp_norm
        self.output_activation = output_activation

    def build(self, x_shape, context_shape=None):
        """Makes heads, projection, norms, MLP, and a coupler per other field."""
        channels, sequence = x_shape[-1], _sequence(x_shape)
        head_dim, dtype = head_size(channels, self.num_heads), self.dtype_policy
        self.x_norm = self.built_norm("norm", x_shape) if self.norm else None
        self.self_heads = self._heads(self.num_heads - self.cross_heads, head_dim, False)
        self.cross = self._heads(self.cross_heads, head_dim, True)
        if self.self_heads:
            self.self_heads.build(sequence)
        if self.cross:
            self.context_norm = self.built_norm("context_norm", context_shape or x_shape)
            self.cross.build(sequence, context_shape and _sequence(context_shape))
        self.query_norm = self._head_norm("query_norm", head_dim)
        self.key_norm = self._head_norm("key_norm", head_dim)
        self.project = keras.layers.Dense(channels, use_bias=False, dtype=dtype, name="project")
        self.project.build(sequence)
        for name, shape in self.coupled.items():
            changes = {"head_dim": head_dim, "norm": self.norm}
            self.add_coupler(f"coupled_{name}", sequence, _sequence(shape), **changes)
        self.drop = seeded_dropout(self.dropout, dtype)
        self.mlp = self.built_mlp(x_shape)

    def _heads(self, number, head_dim, cross):
        if not number:
            return None
        name = "cross_heads" if cross else "self_heads"
        return AttentionHeads(number, head_dim, cross, dtype=self.dtype_policy, name=name)

    def _head_norm(self, name, head_dim):
        if self.qk_norm == "none":
            return None
        shape = (None, None, self.num_heads, head_dim)
        return self.built_norm(name, shape, affine=self.qk_norm == "affine")

    def attend(self, x, context=None, others=None, training=False):
        """Returns the state after the attention, its residual included."""
        sequence = _flat(x)
        normed = sequence if self.x_norm is None else self.x_norm(sequence)
        norms, heads = {"query_norm": self.query_norm, "key_norm": self.key_norm}, []
        if self.self_heads:
            heads.append(self.self_heads(normed, **norms))
        if self.cross:
            around = normed if context is None else self.context_norm(_flat(context))
            heads.append(self.cross(normed, around, **norms))
        change = self.project(ops.concatenate(heads, axis=-1))
        for name in self.coupled:
            change = change + getattr(self, f"coupled_{name}")(normed, _flat(others[name]))
        change = self.drop(change, training=training)
        return ops.reshape(sequence + change, (-1, *x.shape[1:]))

    def call(self, x, context=None, others=None, training=False):
        """Returns the block's output."""
        x = materialized(self.attend(x, context, others, training))
        return materialized(self.mlp(x, training=training)) if self.mlp else x


def head_size(channels: int, num_heads: int) -> int:
    """Returns the channels of a head; UserError where they do not divide."""
    if channels % num_heads:
        raise UserError(
            f"{channels} channels are not divisible by {num_heads} heads; "
            f"choose an embed_dim that is a multiple of num_heads."
        )
    return channels // num_heads


def _sequence(shape):
    known = None not in shape[1:-1]
    return (None, math.prod(shape[1:-1]) if known else None, shape[-1])


def _flat(x):
    """Returns (batch, token, channel) of (batch, ..., channel)."""
    return ops.reshape(x, (-1, math.prod(x.shape[1:-1]), x.shape[-1]))
