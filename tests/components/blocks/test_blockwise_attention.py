import keras
import numpy as np
import pytest
from keras import ops

from atmorep_k.components.blocks import AttentionHeads, attention_heads, blockwise_attention

pytestmark = pytest.mark.backend


def random(*shape, seed=0, scale=1.0):
    return scale * np.random.default_rng(seed).standard_normal(shape).astype("float32")


ARRAYS = [random(2, 13, 4, 8), random(2, 11, 4, 8, seed=1), random(2, 11, 4, 8, seed=2)]


@pytest.fixture
def limit(monkeypatch):
    """Function that sets how many scores are computed at once."""
    return lambda number: monkeypatch.setattr(blockwise_attention, "MAX_SCORES", number)


@pytest.mark.parametrize(
    ("scores", "step"), [(10**6, (4, 13)), (4 * 143 - 1, (2, 13)), (150, (1, 13)), (50, (1, 5))]
)
def test_step_size(limit, scores, step):
    limit(scores)
    assert blockwise_attention.step_size(4, 13, 11) == step


def gradients(function, arrays):
    """Returns what `function` makes of the arrays, and the gradients of its weighted sum."""
    weights = random(2, 13, 4, 8, seed=3)
    if keras.backend.backend() == "jax":
        import jax

        def total(*arrays):
            return (function(*arrays) * weights).sum()

        return [function(*arrays), *jax.jit(jax.grad(total, (0, 1, 2)))(*arrays)]
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        arrays = [tf.constant(a) for a in arrays]
        with tf.GradientTape() as tape:
            tape.watch(arrays)
            out = function(*arrays)
            total = tf.reduce_sum(out * weights)
        return [out, *tape.gradient(total, arrays)]
    import torch

    arrays = [torch.tensor(a, requires_grad=True) for a in arrays]
    out = function(*arrays)
    (out * torch.tensor(weights)).sum().backward()
    return [out.detach(), *(a.grad for a in arrays)]


@pytest.mark.parametrize("scores", [300, 50])  # two heads at a time; five queries of one
def test_it_is_plain_attention_with_the_same_gradients(limit, scores):
    limit(scores)
    found = gradients(blockwise_attention.blockwise_attention, ARRAYS)
    expected = gradients(attention_heads.plain_attention, ARRAYS)
    chosen = gradients(attention_heads.attend, ARRAYS)  # PyTorch's kernel, there
    for one, other in zip([*found, *chosen], [*expected, *expected], strict=True):
        np.testing.assert_allclose(*map(ops.convert_to_numpy, (one, other)), atol=2e-6)


def test_on_a_mesh_queries_are_cut_and_samples_stay_together(limit, monkeypatch):
    monkeypatch.setattr(keras.distribution, "distribution", object)
    limit(300)
    assert blockwise_attention.step_size(4, 13, 11) == (None, 7)
    found = blockwise_attention.blockwise_attention(*map(ops.convert_to_tensor, ARRAYS))
    expected = attention_heads.plain_attention(*map(ops.convert_to_tensor, ARRAYS))
    np.testing.assert_allclose(*map(ops.convert_to_numpy, (found, expected)), atol=2e-6)


def test_large_scores_and_half_precision(limit):
    limit(300)
    # Scores in the hundreds, whose rounding alone would show. Of eighths in four channels, which
    # are scaled by a half, they are exact in whatever order a processor adds.
    query, *others = (np.round(8 * a[..., :4]) / 8 for a in ARRAYS)
    arrays = [ops.convert_to_tensor(a) for a in (300 * query, *others)]
    found = blockwise_attention.blockwise_attention(*arrays)
    np.testing.assert_allclose(
        *map(ops.convert_to_numpy, (found, attention_heads.plain_attention(*arrays))), atol=1e-5
    )
    half = blockwise_attention.blockwise_attention(*(ops.cast(a, "bfloat16") for a in ARRAYS))
    assert keras.backend.standardize_dtype(half.dtype) == "bfloat16"
    exact = attention_heads.plain_attention(*map(ops.convert_to_tensor, ARRAYS))
    half = ops.convert_to_numpy(ops.cast(half, "float32"))
    np.testing.assert_allclose(half, ops.convert_to_numpy(exact), atol=0.03)


def test_kernel_or_blocks_where_there_are_many_scores(limit, monkeypatch):
    used = []
    for module, name in (
        (ops, "dot_product_attention"),
        (blockwise_attention, "blockwise_attention"),
        (attention_heads, "plain_attention"),
    ):
        function = getattr(module, name)
        record = lambda *a, f=function, n=name: used.append(n) or f(*a)  # noqa: E731
        monkeypatch.setattr(module, name, record)
    layer, x, results = AttentionHeads(num_heads=2, head_dim=4), random(1, 6, 8), []
    for number in (100, 60):  # of 2 x 6 x 6 scores
        limit(number)
        results.append(ops.convert_to_numpy(layer(x)))
    torch = keras.backend.backend() == "torch"
    assert used == (
        ["dot_product_attention"] * 2 if torch else ["plain_attention", "blockwise_attention"]
    )
    np.testing.assert_allclose(*results, atol=1e-6)
