import numpy as np
import pytest
from keras import ops

from atmorep_k.components.blocks import AxialBlock, TransformerBlock
from atmorep_k.components.decoders import UNetDecoder
from atmorep_k.errors import UserError

pytestmark = pytest.mark.backend


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


@pytest.fixture
def encoded():
    """Outputs of an encoder of three layers, over fewer tokens."""
    return [random(2, 4, 8, seed=seed) for seed in (1, 2, 3)]


def run(decoder, encoded, x=None):
    return ops.convert_to_numpy(decoder(random(2, 6, 8) if x is None else x, encoded))


@pytest.mark.parametrize(
    ("num_layers", "cross_rate", "seen"),
    [
        (1, 1.0, [2]),
        (2, 1.0, [2, 1]),
        (3, 1.0, [2, 1, 0]),
        (5, 1.0, [2, 1, 0, None, None]),
        (3, 0.5, [2, 2, 1]),
        (4, 0.5, [2, 2, 1, None]),
        (2, 2.0, [2, 0]),
    ],
)
def test_which_encoder_layer_each_block_looks_at(num_layers, cross_rate, seen, encoded):
    decoder = UNetDecoder(num_layers, TransformerBlock(2), cross_rate=cross_rate)
    x = expected = random(2, 6, 8)
    found = run(decoder, encoded, x)
    for block, layer in zip(decoder.blocks, seen, strict=True):
        assert block.cross_heads == (0 if layer is None else 1)
        expected = block(expected) if layer is None else block(expected, encoded[layer])
    np.testing.assert_allclose(found, ops.convert_to_numpy(expected), atol=1e-6)


@pytest.mark.parametrize(
    ("ratio", "cross_heads"), [(0.0, 0), (0.25, 1), (0.5, 2), (0.7, 2), (1.0, 4)]
)
def test_share_of_heads_that_look_at_the_encoder(ratio, cross_heads, encoded):
    decoder = UNetDecoder(2, TransformerBlock(4), cross_ratio=ratio)
    before = run(decoder, encoded)
    assert [block.cross_heads for block in decoder.blocks] == [cross_heads] * 2
    after = run(decoder, [layer[..., ::-1].copy() for layer in encoded])
    assert np.array_equal(after, before) == (cross_heads == 0)


@pytest.mark.parametrize("ratio", [-0.1, 1.5])
def test_a_share_is_between_nothing_and_all(ratio):
    with pytest.raises(UserError, match=f"UNetDecoder.cross_ratio .* between 0 and 1, not {ratio}"):
        UNetDecoder(cross_ratio=ratio)


def test_blocks_have_the_options_of_the_template(encoded):
    options = {"num_heads": 4, "mlp_ratio": 1.5, "dropout": 0.1, "qk_norm": "plain"}
    decoder = UNetDecoder(2, TransformerBlock(**options, output_activation=True))
    run(decoder, encoded)
    for block in decoder.blocks:
        assert {name: getattr(block, name) for name in options} == options
        assert block.output_activation


@pytest.mark.parametrize("parallel", [False, True])
def test_axial_blocks_look_at_the_encoder_and_dense_ones_follow(parallel):
    axial = AxialBlock(2, parallel=parallel, dropout=0.1)
    dense = TransformerBlock(2, qk_norm="plain", dropout=0.1)
    decoder = UNetDecoder(3, axial, dense, self_attention=True)
    x, encoded = random(2, 2, 3, 4, 8), [random(2, 2, 3, 4, 8, seed=seed) for seed in (1, 2)]
    found = run(decoder, encoded, x)
    assert [type(b) for b in decoder.blocks] == [AxialBlock, AxialBlock, TransformerBlock]
    assert [b.parallel for b in decoder.blocks[:2]] == [parallel] * 2
    assert [b.qk_norm for b in (*decoder.self_blocks, decoder.blocks[2])] == ["plain"] * 3
    expected = x
    for before, block, context in zip(
        decoder.self_blocks, decoder.blocks, encoded[::-1], strict=False
    ):
        expected = block(before(expected), context)
    expected = ops.convert_to_numpy(decoder.blocks[2](expected))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert decoder.self_blocks[0].mlp is None


def test_blocks_without_the_encoder_are_like_the_others_unless_they_have_a_template():
    decoder = UNetDecoder(2, AxialBlock(2), self_attention=True)
    x, encoded = random(2, 2, 3, 4, 8), [random(2, 2, 3, 4, 8, seed=1)]
    run(decoder, encoded, x)
    assert type(decoder.blocks[1]) is type(decoder.self_blocks[0]) is AxialBlock
    assert (decoder.blocks[1].cross_heads, decoder.self_blocks[0].mlp) == (0, None)
