import numpy as np
import pytest
from keras import ops

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
    decoder = UNetDecoder(num_layers, num_heads=2, cross_rate=cross_rate)
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
    decoder = UNetDecoder(num_layers=2, num_heads=4, cross_ratio=ratio)
    before = run(decoder, encoded)
    assert [block.cross_heads for block in decoder.blocks] == [cross_heads] * 2
    after = run(decoder, [layer[..., ::-1].copy() for layer in encoded])
    assert np.array_equal(after, before) == (cross_heads == 0)


@pytest.mark.parametrize("ratio", [-0.1, 1.5])
def test_a_share_is_between_nothing_and_all(ratio):
    with pytest.raises(UserError, match=f"UNetDecoder.cross_ratio .* between 0 and 1, not {ratio}"):
        UNetDecoder(cross_ratio=ratio)


def test_blocks_have_the_options_of_the_decoder(encoded):
    decoder = UNetDecoder(2, 4, mlp_ratio=1.5, dropout=0.1, qk_norm="plain", output_activation=True)
    run(decoder, encoded)
    for block in decoder.blocks:
        assert (block.num_heads, block.mlp_ratio, block.dropout) == (4, 1.5, 0.1)
        assert (block.qk_norm, block.output_activation) == ("plain", True)
