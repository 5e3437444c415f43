"""Attention that never holds all its scores, for compilers that have no kernel of their own."""

import functools
import math

import keras
from keras import ops

# Scores of one step of the loop, 10 MB. Fewer leave cores idle between products; more are written
# to memory and read again (benchmarks/README.md).
MAX_SCORES = 2_500_000


def blockwise_attention(query, key, value):
    """Returns softmax(q k^T / sqrt(channel)) v, computed for some heads and queries at a time.

    The backward pass computes the scores again, from the logarithms of the softmax's sums (Rabe &
    Staats 2021, arXiv:2112.05682; Dao et al. 2022, arXiv:2205.14135). Both are float32 throughout.

    Args:
        query: (batch, token, head, channel).
        key: (batch, other, head, channel).
        value: (batch, other, head, channel).

    Returns:
        (batch, token, head, channel), of the query's type.
    """
    heads, tokens, channels = query.shape[2], query.shape[1], query.shape[3]
    together, length = step_size(heads, tokens, key.shape[1])
    scale = ops.cast(channels**-0.5, query.dtype)
    arrays = [_by_head(a, together) for a in (query * scale, key, value)]
    attended = ops.reshape(_attention(together, length)(*arrays), (-1, heads, tokens, channels))
    return ops.transpose(attended, (0, 2, 1, 3))


def step_size(heads: int, queries: int, keys: int) -> tuple[int | None, int]:
    """Returns how many heads of a sample, and how many queries, are taken at a time.

    On a mesh, heads and samples lie on several devices and cannot be taken one after the other:
    then it is None, for all heads of all samples, and blocks of queries.
    """
    together, rows = None, heads
    if keras.distribution.distribution() is None:
        fitting = [n for n in range(1, heads + 1) if heads % n == 0]
        together = max(n for n in fitting if n == 1 or n * queries * keys <= MAX_SCORES)
        rows = together
    blocks = min(queries, math.ceil(queries * keys * rows / MAX_SCORES))
    return together, math.ceil(queries / blocks)


def _by_head(x, together):
    """Returns (step, head, token, channel) of (batch, token, head, channel)."""
    x = ops.transpose(x, (0, 2, 1, 3))
    return x if together is None else ops.reshape(x, (-1, together, *x.shape[2:]))


def _attention(together, length):
    """Returns attention of arrays (step, head, token, channel), which brings its gradient."""

    def run(function, *arrays):
        if together is None:
            return function(*arrays, length=length)
        return ops.map(lambda step: function(*step, length=length), arrays)

    @ops.custom_gradient
    def attention(query, key, value):
        attended, logsum = run(_forward, query, key, value)

        def gradient(*arguments, upstream=None):
            change = arguments[0] if upstream is None else upstream
            return run(_backward, query, key, value, attended, logsum, change)

        return attended, gradient

    return attention


def _forward(query, key, value, length):
    """Returns what is attended (..., token, channel), and the logarithms (..., token, 1)."""
    tokens = query.shape[-2]
    if length == tokens:
        return _softmax(query, key, value)
    blocks = ops.map(lambda block: _softmax(block, key, value), _cut(query, length))
    return tuple(_joined(b, tokens) for b in blocks)


def _backward(query, key, value, attended, logsum, change, length):
    """Returns the gradients of query, key and value, given that of what is attended."""
    tokens = query.shape[-2]
    mean = ops.sum(ops.cast(attended * change, "float32"), axis=-1, keepdims=True)
    rows = (query, change, logsum, mean)
    step = functools.partial(_softmax_gradient, key=key, value=value)
    if length == tokens:
        return step(*rows)

    # Keras's scan, which would sum as it goes, fails on TensorFlow for sums of another shape.
    cut = tuple(_cut(r, length) for r in rows)
    of_query, of_key, of_value = ops.map(lambda block: step(*block), cut)
    return _joined(of_query, tokens), ops.sum(of_key, axis=0), ops.sum(of_value, axis=0)


def _softmax(query, key, value):
    scores = _product(query, key, transpose=True)
    largest = ops.max(scores, axis=-1, keepdims=True)
    weights = ops.exp(scores - largest)
    total = ops.sum(weights, axis=-1, keepdims=True)
    attended = _product(weights, value) / total
    return ops.cast(attended, value.dtype), largest + ops.log(total)


def _softmax_gradient(query, change, logsum, mean, key, value):
    weights = ops.exp(_product(query, key, transpose=True) - logsum)
    of_scores = weights * (_product(change, value, transpose=True) - mean)
    of_value = _product(ops.swapaxes(weights, -1, -2), change)
    of_key = _product(ops.swapaxes(of_scores, -1, -2), query)
    of_query = _product(of_scores, key)
    return tuple(ops.cast(g, key.dtype) for g in (of_query, of_key, of_value))


def _product(a, b, transpose=False):
    # Half precision loses too much in a sum over thousands of keys.
    a, b = ops.cast(a, "float32"), ops.cast(b, "float32")
    return ops.matmul(a, ops.swapaxes(b, -1, -2) if transpose else b)


def _cut(rows, length):
    """Returns (block, ..., length, channel) of (..., token, channel), filled up with zeros."""
    missing = -rows.shape[-2] % length
    rows = ops.pad(rows, [(0, 0)] * (len(rows.shape) - 2) + [(0, missing), (0, 0)])
    blocks = ops.reshape(rows, (*rows.shape[:-2], -1, length, rows.shape[-1]))
    return ops.moveaxis(blocks, -3, 0)


def _joined(blocks, tokens):
    """Returns (..., token, channel) of what `_cut` returned."""
    rows = ops.moveaxis(blocks, 0, -3)
    rows = ops.reshape(rows, (*rows.shape[:-3], -1, rows.shape[-1]))
    return rows[..., :tokens, :]
