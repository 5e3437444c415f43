"""Attention of one field to another: the coupling of AtmoRep."""

from typing import Literal

import keras
import numpy as np

from atmorep_k.components.blocks.attention_heads import AttentionHeads
from atmorep_k.components.blocks.mlp import plain_norm
from atmorep_k.registry import Configured, component


@component("coupler")
class CrossFieldAttention(Configured, keras.layers.Layer):
    """Heads with queries from one field, keys and values from another, projected to the first.

    A block adds the result to its own attention's before the residual. That is the original's
    projection of all heads side by side, cut into one matrix per coupled field (AtmoRep,
    arXiv:2308.13280), so that a coupling can come and go without touching any other weight.

    Args:
        num_heads: heads per coupled field.
        qk_norm: layer norm, without weights, of each head's queries and keys (`"plain"`) or of the
            keys alone (`"keys"`): the original of 2024 forgets the queries, and its released
            weights rely on that.
        head_dim: channels of a head; set by the block.
        norm: whether the other field is normalised first; set by the block.

    Shapes:
        input: x (batch, token, channel), normalised by the block, and the other field's state
            (batch, other, channel')
        output: (batch, token, channel)
    """

    def __init__(
        self,
        num_heads: int = 1,
        qk_norm: Literal["none", "plain", "keys"] = "none",
        head_dim: int = 16,
        norm: bool = True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.qk_norm = qk_norm
        self.head_dim = head_dim
        self.norm = norm

    def build(self, x_shape, other_shape):
        """Makes heads, norms and projection."""
        dtype, per_head = self.dtype_policy, (None, None, self.num_heads, self.head_dim)
        self.other_norm = self._norm("other_norm", other_shape) if self.norm else None
        self.heads = AttentionHeads(self.num_heads, self.head_dim, True, dtype=dtype, name="heads")
        self.heads.build(x_shape, other_shape)
        self.query_norm = self._norm("query_norm", per_head) if self.qk_norm == "plain" else None
        self.key_norm = None if self.qk_norm == "none" else self._norm("key_norm", per_head)
        self.project = keras.layers.Dense(x_shape[-1], use_bias=False, dtype=dtype, name="project")
        self.project.build((None, None, self.num_heads * self.head_dim))

    def _norm(self, name, shape):
        norm = plain_norm(name, self.dtype_policy)
        norm.build(shape)
        return norm

    def silence(self):
        """Lets the coupling say nothing at first: its projection is zero, and learns."""
        self.project.kernel.assign(np.zeros(self.project.kernel.shape, "float32"))

    def call(self, x, other):
        """Returns what the other field has to say."""
        around = other if self.other_norm is None else self.other_norm(other)
        norms = {"query_norm": self.query_norm, "key_norm": self.key_norm}
        return self.project(self.heads(x, around, **norms))
