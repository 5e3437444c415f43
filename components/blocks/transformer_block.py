"""One transformer block: attention to oneself, optionally also to a context, and a net."""

from typing import Literal

import keras
from keras import ops

from atmorep_k.components.blocks.attention_heads import AttentionHeads
from atmorep_k.components.blocks.mlp import MLP, plain_norm, seeded_dropout
from atmorep_k.errors import UserError
from atmorep_k.registry import Configured, component


@component("block")
class TransformerBlock(Configured, keras.layers.Layer):
    """Pre-norm block x + W [self heads, cross heads], followed by the MLP with its residual.

    Args:
        num_heads: heads in total.
        cross_heads: how many of them attend to the context instead of to `x` itself.
        mlp_ratio: see `MLP`.
        dropout: rate of dropout behind the projection and in the MLP.
        qk_norm: layer norm of each head's queries and keys: `"none"`, `"plain"` (no weights) or
            `"affine"` (weights shared by the heads and by self and cross attention).
        output_activation: see `MLP`.

    Shapes:
        input: x (batch, token, channel), context (batch, other, channel) where `cross_heads` > 0
        output: (batch, token, channel)

    Raises:
        UserError: where the channels do not divide by the heads.
    """

    def __init__(
        self,
        num_heads: int = 4,
        cross_heads: int = 0,
        mlp_ratio: float = 2.0,
        dropout: float = 0.0,
        qk_norm: Literal["none", "plain", "affine"] = "none",
        output_activation: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.cross_heads = cross_heads
        self.mlp_ratio = mlp_ratio
        self.dropout = dropout
        self.qk_norm = qk_norm
        self.output_activation = output_activation

    def build(self, x_shape, context_shape=None):
        """Makes heads, projection, norms and MLP."""
        channels = x_shape[-1]
        if channels % self.num_heads:
            raise UserError(
                f"{channels} channels do not divide by {self.num_heads} heads; "
                f"choose an embed_dim that is a multiple of num_heads."
            )
        head_dim, dtype = channels // self.num_heads, self.dtype_policy
        self.norm = plain_norm("norm", dtype)
        self.norm.build(x_shape)
        self.self_heads = self._heads(self.num_heads - self.cross_heads, head_dim, False)
        self.cross = self._heads(self.cross_heads, head_dim, True)
        if self.self_heads:
            self.self_heads.build(x_shape)
        if self.cross:
            self.context_norm = plain_norm("context_norm", dtype)
            self.context_norm.build(context_shape or x_shape)
            self.cross.build(x_shape, context_shape)
        self.query_norm = self._head_norm("query_norm", head_dim)
        self.key_norm = self._head_norm("key_norm", head_dim)
        self.project = keras.layers.Dense(channels, use_bias=False, dtype=dtype, name="project")
        self.project.build(x_shape)
        self.drop = seeded_dropout(self.dropout, dtype)
        self.mlp = MLP(
            self.mlp_ratio, self.dropout, self.output_activation, dtype=dtype, name="mlp"
        )
        self.mlp.build(x_shape)

    def _heads(self, number, head_dim, cross):
        if not number:
            return None
        name = "cross_heads" if cross else "self_heads"
        return AttentionHeads(number, head_dim, cross, dtype=self.dtype_policy, name=name)

    def _head_norm(self, name, head_dim):
        if self.qk_norm == "none":
            return None
        norm = plain_norm(name, self.dtype_policy, affine=self.qk_norm == "affine")
        norm.build((None, None, self.num_heads, head_dim))
        return norm

    def call(self, x, context=None, training=False):
        """Returns the block's output."""
        norms = {"query_norm": self.query_norm, "key_norm": self.key_norm}
        normed, heads = self.norm(x), []
        if self.self_heads:
            heads.append(self.self_heads(normed, **norms))
        if self.cross:
            around = normed if context is None else self.context_norm(context)
            heads.append(self.cross(normed, around, **norms))
        change = self.project(ops.concatenate(heads, axis=-1))
        return self.mlp(x + self.drop(change, training=training), training=training)
