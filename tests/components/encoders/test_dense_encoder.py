import numpy as np
import pytest
from keras import ops

from atmorep_k.components.encoders import DenseEncoder
from atmorep_k.errors import UserError

pytestmark = pytest.mark.backend


@pytest.fixture
def x():
    return np.random.default_rng(0).standard_normal((2, 6, 8)).astype("float32")


def test_every_blocks_output_is_returned_the_last_one_last(x):
    encoder = DenseEncoder(num_layers=3, num_heads=2, qk_norm="plain", output_activation=True)
    outputs, expected = encoder(x), x
    assert len(outputs) == 3
    for block, output in zip(encoder.blocks, outputs, strict=True):
        expected = block(expected)
        np.testing.assert_allclose(
            ops.convert_to_numpy(output), ops.convert_to_numpy(expected), atol=1e-6
        )


def test_blocks_have_the_options_of_the_encoder(x):
    options = {"mlp_ratio": 1.5, "mlp_layers": 3, "dropout": 0.1, "qk_norm": "affine"}
    encoder = DenseEncoder(2, 4, norm=False, output_activation=True, **options)
    encoder(x)
    for block in encoder.blocks:
        assert (block.num_heads, block.cross_heads, block.norm, block.mlp_norm) == (
            4,
            0,
            False,
            False,
        )
        assert block.output_activation
        assert {name: getattr(block, name) for name in options} == options


def test_an_encoder_has_a_layer():
    with pytest.raises(UserError, match=r"DenseEncoder\.num_layers must be at least 1, not 0"):
        DenseEncoder(num_layers=0)


def test_every_token_sees_every_other(x):
    encoder = DenseEncoder(num_layers=1, num_heads=2)
    before = ops.convert_to_numpy(encoder(x)[-1])
    for token in range(6):
        changed = x.copy()
        changed[:, token] = changed[:, token, ::-1]
        after = ops.convert_to_numpy(encoder(changed)[-1])
        assert np.abs(after - before).max(axis=(0, 2)).min() > 1e-5
