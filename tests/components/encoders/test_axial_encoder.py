import numpy as np
import pytest
from keras import ops

from atmorep_k.components.encoders import AxialEncoder

pytestmark = pytest.mark.backend


def test_blocks_have_the_options_of_the_encoder():
    options = {
        "reserved_heads": 2,
        "parallel": True,
        "mlp_ratio": 1.5,
        "mlp_layers": 3,
        "dropout": 0.1,
        "mlp_norm": False,
        "output_activation": True,
    }
    encoder = AxialEncoder(2, 6, **options)
    encoder(np.zeros((1, 2, 2, 2, 8), "float32"))
    for block in encoder.blocks:
        assert (block.num_heads, block.cross_heads) == (6, 0)
        assert {name: getattr(block, name) for name in options} == options


def test_a_token_sees_those_that_share_two_of_its_three_places():
    x = np.random.default_rng(0).standard_normal((1, 2, 3, 4, 8)).astype("float32")
    encoder = AxialEncoder(1, 2, parallel=True)
    before = ops.convert_to_numpy(encoder(x)[-1])
    x[0, 1, 1, 1] = x[0, 1, 1, 1, ::-1].copy()
    changed = np.abs(ops.convert_to_numpy(encoder(x)[-1]) - before).max(-1)[0] > 1e-6
    level, time, space = np.indices((2, 3, 4))
    np.testing.assert_array_equal(changed, (level == 1) * 1 + (time == 1) + (space == 1) >= 2)
