import numpy as np
import pytest
from keras import ops

from atmorep_k.components.blocks import AxialBlock, TransformerBlock
from atmorep_k.components.decoders import AxialUNetDecoder

pytestmark = pytest.mark.backend


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


@pytest.mark.parametrize("parallel", [False, True])
def test_axial_blocks_look_at_the_encoder_and_dense_ones_follow(parallel):
    decoder = AxialUNetDecoder(
        3, 2, self_attention=True, parallel=parallel, self_qk_norm="plain", dropout=0.1
    )
    x, encoded = random(2, 2, 3, 4, 8), [random(2, 2, 3, 4, 8, seed=seed) for seed in (1, 2)]
    found = ops.convert_to_numpy(decoder(x, encoded))
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
