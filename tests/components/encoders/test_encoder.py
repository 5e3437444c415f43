import numpy as np
import pytest
from keras import ops

from atmorep_k.components.blocks import AxialBlock, TransformerBlock
from atmorep_k.components.encoders import Encoder
from atmorep_k.errors import UserError

pytestmark = pytest.mark.backend


@pytest.fixture
def x():
    return np.random.default_rng(0).standard_normal((2, 6, 8)).astype("float32")


def test_every_blocks_output_is_returned_the_last_one_last(x):
    block = TransformerBlock(num_heads=2, qk_norm="plain", output_activation=True)
    encoder = Encoder(num_layers=3, block=block)
    outputs, expected = encoder(x), x
    assert len(outputs) == 3
    for block, output in zip(encoder.blocks, outputs, strict=True):
        expected = block(expected)
        np.testing.assert_allclose(
            ops.convert_to_numpy(output), ops.convert_to_numpy(expected), atol=1e-6
        )


OPTIONS = {
    "num_heads": 4,
    "mlp_ratio": 1.5,
    "mlp_layers": 3,
    "dropout": 0.1,
    "mlp_norm": False,
    "output_activation": True,
}


@pytest.mark.parametrize(
    ("cls", "more"),
    [
        (TransformerBlock, {"qk_norm": "affine", "norm": False}),
        (AxialBlock, {"reserved_heads": 4, "parallel": True}),
    ],
)
def test_blocks_have_the_options_of_the_template(cls, more):
    options = {**OPTIONS, **more}
    encoder = Encoder(2, cls(**options))
    encoder(np.zeros((1, 2, 2, 2, 8), "float32"))
    assert [block.name for block in encoder.blocks] == ["block_0", "block_1"]
    for block in encoder.blocks:
        assert type(block) is cls
        assert {name: getattr(block, name) for name in options} == options


def test_the_template_is_no_layer_of_the_encoder(x):
    encoder = Encoder(2, TransformerBlock(2))
    encoder(x)
    assert all(layer.built for layer in encoder._flatten_layers())
    assert "name" not in encoder.get_config()["block"]["config"]


def test_an_encoder_has_a_layer():
    with pytest.raises(UserError, match=r"Encoder\.num_layers must be at least 1, not 0"):
        Encoder(num_layers=0)


def test_every_token_sees_every_other(x):
    encoder = Encoder(1, TransformerBlock(num_heads=2))
    before = ops.convert_to_numpy(encoder(x)[-1])
    for token in range(6):
        changed = x.copy()
        changed[:, token] = changed[:, token, ::-1]
        after = ops.convert_to_numpy(encoder(changed)[-1])
        assert np.abs(after - before).max(axis=(0, 2)).min() > 1e-5


def test_with_axial_blocks_a_token_sees_those_that_share_two_of_its_three_places():
    x = np.random.default_rng(0).standard_normal((1, 2, 3, 4, 8)).astype("float32")
    encoder = Encoder(1, AxialBlock(2, parallel=True))
    before = ops.convert_to_numpy(encoder(x)[-1])
    x[0, 1, 1, 1] = x[0, 1, 1, 1, ::-1].copy()
    changed = np.abs(ops.convert_to_numpy(encoder(x)[-1]) - before).max(-1)[0] > 1e-6
    level, time, space = np.indices((2, 3, 4))
    np.testing.assert_array_equal(changed, (level == 1) * 1 + (time == 1) + (space == 1) >= 2)
