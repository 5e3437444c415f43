import numpy as np
import pytest
from keras import ops

from atmorep_k.components.blocks import TransformerBlock
from atmorep_k.errors import UserError

pytestmark = pytest.mark.backend


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def run(block, *inputs, **options):
    return ops.convert_to_numpy(block(*inputs, **options))


def norm(x):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)


@pytest.mark.parametrize("cross_heads", [0, 1, 2])
def test_nothing_but_the_residual_without_projections(cross_heads):
    block, x, context = TransformerBlock(2, cross_heads), random(2, 5, 8), random(2, 3, 8, seed=1)
    block(x, context)
    for layer in (block.project, block.mlp.narrow):
        layer.set_weights([np.zeros_like(w) for w in layer.get_weights()])
    np.testing.assert_array_equal(run(block, x, context), x)


def test_heads_lie_side_by_side_own_ones_first():
    block, x, context = TransformerBlock(4, 3), random(2, 5, 8), random(2, 3, 8, seed=1)
    block(x, context)
    own = ops.convert_to_numpy(block.self_heads(norm(x)))
    other = ops.convert_to_numpy(block.cross(norm(x), norm(context)))
    assert (own.shape[-1], other.shape[-1]) == (2, 6)
    attended = x + np.concatenate([own, other], axis=-1) @ block.project.get_weights()[0]
    expected = ops.convert_to_numpy(block.mlp(attended))
    np.testing.assert_allclose(run(block, x, context), expected, atol=1e-5)


def test_tokens_have_no_order():
    block, x = TransformerBlock(2, qk_norm="plain"), random(2, 6, 8)
    order = np.random.default_rng(1).permutation(6)
    np.testing.assert_allclose(run(block, x[:, order]), run(block, x)[:, order], atol=1e-5)


def test_without_a_context_it_looks_at_itself():
    block, x = TransformerBlock(2, 1), random(2, 5, 8)
    np.testing.assert_allclose(run(block, x), run(block, x, x), atol=1e-6)


@pytest.mark.parametrize("scale", [2.0, 100.0])
def test_head_norms_take_the_size_out_of_queries_and_keys(scale, randomize):
    x = random(1, 5, 16)
    for qk_norm, same in (("none", False), ("plain", True), ("affine", True)):
        block = TransformerBlock(2, qk_norm=qk_norm)
        block(x)
        randomize(block)
        before = run(block, x)
        layer = block.self_heads.query_key_value
        kernel = layer.get_weights()[0].reshape(16, 2, 3, 8)
        kernel[:, :, :2] *= scale
        layer.set_weights([kernel.reshape(16, 48)])
        assert np.allclose(run(block, x), before, atol=1e-3) == same


def test_heads_of_both_kinds_share_the_weights_of_the_head_norms():
    block = TransformerBlock(4, 2, qk_norm="affine")
    block(random(1, 5, 16), random(1, 3, 16))
    plain = TransformerBlock(4, 2, qk_norm="plain")
    plain(random(1, 5, 16), random(1, 3, 16))
    assert block.count_params() - plain.count_params() == 4 * 4  # two norms, scale and shift of 4


def test_channels_that_do_not_divide_by_the_heads():
    with pytest.raises(
        UserError, match="10 channels are not divisible by 4 heads; choose an embed"
    ):
        TransformerBlock(4).build((None, 5, 10))


def test_dropout_acts_on_the_attention_too():
    block, x = TransformerBlock(2, dropout=0.5), random(2, 5, 8)
    block(x)
    block.mlp.narrow.set_weights([np.zeros_like(w) for w in block.mlp.narrow.get_weights()])
    assert np.abs(run(block, x, training=True) - run(block, x)).max() > 0.01
