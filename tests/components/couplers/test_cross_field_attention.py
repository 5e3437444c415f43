import numpy as np
import pytest
from keras import ops

from atmorep_k.components.couplers import CrossFieldAttention

pytestmark = pytest.mark.backend


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def norm(x):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)


def softmax(scores):
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


@pytest.mark.parametrize("qk_norm", ["none", "plain", "keys"])
@pytest.mark.parametrize("with_norm", [True, False])
def test_closed_form(qk_norm, with_norm, randomize):
    heads, size = 2, 3
    coupler = CrossFieldAttention(heads, qk_norm, size, with_norm)
    x, other = random(2, 5, 8), 3 + random(2, 4, 6, seed=1)
    coupler(x, other)
    found = ops.convert_to_numpy(randomize(coupler, scale=0.5)(x, other))
    around = norm(other) if with_norm else other
    query, pair, out = (w.numpy() for w in coupler.trainable_variables)
    queries = (x @ query).reshape(2, 5, heads, size)
    keys, values = np.moveaxis((around @ pair).reshape(2, 4, heads, 2, size), 3, 0)
    queries = norm(queries) if qk_norm == "plain" else queries
    keys = keys if qk_norm == "none" else norm(keys)
    weights = softmax(np.einsum("bqhd,bkhd->bhqk", queries, keys) / np.sqrt(size))
    attended = np.einsum("bhqk,bkhd->bqhd", weights, values).reshape(2, 5, heads * size)
    np.testing.assert_allclose(found, attended @ out, atol=2e-5)
