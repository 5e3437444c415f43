"""The heads of multi-head attention, without the projection behind them."""

import keras
from keras import ops

from atmorep_k.backend import attention_record
from atmorep_k.components.blocks import blockwise_attention
from atmorep_k.registry import Configured, component


@component("block")
class AttentionHeads(Configured, keras.layers.Layer):
    """Scaled dot-product attention of several heads, their outputs side by side.

    Blocks put heads of several kinds (own field, encoder layers, other fields) next to each other
    before one common projection; hence the projection is theirs (Vaswani et al. 2017).

    Args:
        num_heads: number of heads.
        head_dim: channels of a head.
        cross: whether keys and values come from another sequence, the context.

    Shapes:
        input: (batch, token, channel), with `cross` also the context (batch, other, channel)
        output: (batch, token, num_heads * head_dim)
    """

    def __init__(self, num_heads: int = 4, head_dim: int = 16, cross: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.head_dim = head_dim
        self.cross = cross

    def build(self, x_shape, context_shape=None):
        """Makes the bias-free projections; columns are ordered by head, then query, key, value."""
        width = self.num_heads * self.head_dim
        if self.cross:
            self.query = self._projection(width, "query", x_shape)
            self.key_value = self._projection(2 * width, "key_value", context_shape or x_shape)
        else:
            self.query_key_value = self._projection(3 * width, "query_key_value", x_shape)

    def _projection(self, width, name, input_shape):
        layer = keras.layers.Dense(width, use_bias=False, dtype=self.dtype_policy, name=name)
        layer.build(input_shape)
        return layer

    def _split(self, projected, parts):
        shape = (-1, projected.shape[1], self.num_heads, parts, self.head_dim)
        # Its gradient is one array; that of a slice is filled up with zeros first.
        return ops.unstack(ops.reshape(projected, shape), parts, axis=3)

    def call(self, x, context=None, query_norm=None, key_norm=None):
        """Returns the heads' outputs; the norms, where given, act on each head's channels."""
        if self.cross:
            (query,) = self._split(self.query(x), 1)
            key, value = self._split(self.key_value(x if context is None else context), 2)
        else:
            query, key, value = self._split(self.query_key_value(x), 3)
        query = query if query_norm is None else query_norm(query)
        key = key if key_norm is None else key_norm(key)
        attended = attend(query, key, value)
        return ops.reshape(attended, (-1, x.shape[1], self.num_heads * self.head_dim))


def attend(query, key, value):
    """Returns softmax(q k^T / sqrt(head_dim)) v for (batch, token, head, channel) arrays.

    PyTorch, and JAX with an accelerator, have fused kernels, which keep no scores. Elsewhere many
    scores are computed in blocks, few at once: laid out key by query, and the sum of the softmax
    comes out of the product with the values, as one channel more, as XLA's reductions over the last
    axis are slow on a CPU (benchmarks/README.md).

    What a token looks at can be recorded, see `atmorep_k.backend.attention_record`.
    """
    attended = _attended(query, key, value)
    attention_record.note(query, key, value, attended)
    return attended


def _attended(query, key, value):
    if has_kernel():
        return ops.dot_product_attention(query, key, value)
    if query.shape[2] * query.shape[1] * key.shape[1] > blockwise_attention.MAX_SCORES:
        return blockwise_attention.blockwise_attention(query, key, value)
    return plain_attention(query, key, value)


def has_kernel() -> bool:
    """Tells whether the backend computes attention by a kernel of its own on this device."""
    if keras.backend.backend() != "jax":
        return keras.backend.backend() == "torch"
    import jax

    return jax.default_backend() != "cpu"


def plain_attention(query, key, value):
    """Does what `attend` does, with all scores at once."""
    scale = ops.cast(query.shape[-1] ** -0.5, query.dtype)
    # Half precision loses too much in a sum over thousands of keys.
    scores = ops.cast(ops.einsum("bqhd,bkhd->bhkq", query * scale, key), "float32")
    weights = ops.exp(scores - ops.stop_gradient(ops.max(scores, axis=2, keepdims=True)))
    value = ops.cast(value, "float32")
    value = ops.concatenate([value, ops.ones_like(value[..., :1])], axis=-1)
    attended = ops.einsum("bhkq,bkhd->bqhd", weights, value)
    return ops.cast(attended[..., :-1] / attended[..., -1:], query.dtype)
