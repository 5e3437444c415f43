import keras
import numpy as np
import pytest
from keras import ops

from atmorep_k.components.blocks import AttentionHeads
from atmorep_k.components.blocks.attention_heads import attend

pytestmark = pytest.mark.backend


def random(*shape, seed=0, scale=1.0):
    return scale * np.random.default_rng(seed).standard_normal(shape).astype("float32")


def softmax_attention(query, key, value):
    """Attention by its formula, in double precision."""
    query, key, value = (a.astype("float64") for a in (query, key, value))
    scores = np.einsum("bqhd,bkhd->bhqk", query, key) / np.sqrt(query.shape[-1])
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    return np.einsum("bhqk,bkhd->bqhd", weights, value)


@pytest.mark.parametrize("scale", [1.0, 30.0])  # at 30 nearly all weight is on one key
@pytest.mark.parametrize("keys", [1, 5, 9])
def test_attend_is_softmax_attention(scale, keys):
    query = random(2, 5, 3, 4, seed=1, scale=scale)
    key, value = random(2, keys, 3, 4, seed=2), random(2, keys, 3, 4, seed=3)
    found = ops.convert_to_numpy(attend(*map(ops.convert_to_tensor, (query, key, value))))
    np.testing.assert_allclose(found, softmax_attention(query, key, value), atol=2e-6)


def test_attend_survives_scores_that_exp_does_not():
    query, key = random(1, 4, 1, 2, scale=300), random(1, 6, 1, 2, seed=1)
    value = random(1, 6, 1, 2, seed=2)
    found = ops.convert_to_numpy(attend(*map(ops.convert_to_tensor, (query, key, value))))
    np.testing.assert_allclose(found, softmax_attention(query, key, value), atol=1e-5)


def test_attend_in_half_precision():
    arrays = [random(2, 5, 3, 4, seed=seed) for seed in range(3)]
    found = attend(*(ops.cast(a, "bfloat16") for a in arrays))
    assert keras.backend.standardize_dtype(found.dtype) == "bfloat16"
    found = ops.convert_to_numpy(ops.cast(found, "float32"))
    np.testing.assert_allclose(found, softmax_attention(*arrays), atol=0.03)


@pytest.fixture
def parts():
    """Splits a fused projection as the docstring says: by head, then query, key, value."""

    def split(projected, heads, number):
        batch, tokens, _ = projected.shape
        cut = projected.reshape(batch, tokens, heads, number, -1)
        return [cut[:, :, :, i] for i in range(number)]

    return split


def test_self_attention(parts):
    layer, x = AttentionHeads(num_heads=3, head_dim=2), random(2, 5, 8)
    found = ops.convert_to_numpy(layer(x))
    (kernel,) = layer.get_weights()
    assert kernel.shape == (8, 18)
    expected = softmax_attention(*parts(x @ kernel, 3, 3)).reshape(2, 5, 6)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_attention_to_a_context(parts):
    layer = AttentionHeads(num_heads=2, head_dim=3, cross=True)
    x, context = random(2, 5, 8), random(2, 7, 4, seed=1)
    found = ops.convert_to_numpy(layer(x, context))
    query = (x @ layer.query.get_weights()[0]).reshape(2, 5, 2, 3)
    key, value = parts(context @ layer.key_value.get_weights()[0], 2, 2)
    expected = softmax_attention(query, key, value).reshape(2, 5, 6)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_order_of_the_context_does_not_matter():
    layer = AttentionHeads(num_heads=2, head_dim=3, cross=True)
    x, context = random(1, 5, 8), random(1, 7, 8, seed=1)
    order = np.random.default_rng(2).permutation(7)
    one, other = (ops.convert_to_numpy(layer(x, c)) for c in (context, context[:, order]))
    np.testing.assert_allclose(one, other, atol=1e-6)


def test_norms_act_on_each_heads_queries_and_keys():
    layer, x = AttentionHeads(num_heads=2, head_dim=4), random(1, 5, 8)
    layer(x)
    found = ops.convert_to_numpy(layer(x, query_norm=lambda q: 0.0 * q))
    _, _, value = np.split((x @ layer.get_weights()[0]).reshape(1, 5, 2, 12), 3, axis=-1)
    # Queries of zero weigh all keys alike.
    mean = np.broadcast_to(value.mean(axis=1, keepdims=True), value.shape)
    np.testing.assert_allclose(found, mean.reshape(1, 5, 8), atol=1e-6)
    keyless = ops.convert_to_numpy(layer(x, key_norm=lambda k: 0.0 * k))
    np.testing.assert_allclose(keyless, found, atol=1e-6)
