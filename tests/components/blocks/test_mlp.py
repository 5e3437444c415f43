import numpy as np
import pytest
from keras import ops
from scipy.special import erf

from atmorep_k.components.blocks import MLP

pytestmark = pytest.mark.backend


def gelu(x):
    return x * (1 + erf(x / np.sqrt(2))) / 2


@pytest.fixture
def x():
    return np.random.default_rng(0).standard_normal((2, 5, 8)).astype("float32")


@pytest.mark.parametrize("output_activation", [False, True])
def test_formula(output_activation, x, randomize):
    layer = MLP(ratio=1.5, output_activation=output_activation)
    layer(x)
    found = ops.convert_to_numpy(randomize(layer)(x))
    widen, widen_bias, narrow, narrow_bias = layer.get_weights()
    assert widen.shape == (8, 12)
    normed = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    change = gelu(normed @ widen + widen_bias) @ narrow + narrow_bias
    expected = x + (gelu(change) if output_activation else change)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_dropout_only_in_training(x):
    layer = MLP(dropout=0.5)
    quiet = ops.convert_to_numpy(layer(x))
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(x, training=False)), quiet)
    one, other = (ops.convert_to_numpy(layer(x, training=True)) for _ in range(2))
    assert np.abs(one - quiet).max() > 0.01
    assert np.abs(one - other).max() > 0.01


def test_the_seed_decides_about_dropout(x):
    import keras

    outputs = []
    for seed in (0, 0, 1):
        keras.utils.set_random_seed(seed)
        layer = MLP(dropout=0.5)
        layer(x)
        # Weights that do not depend on the seed.
        layer.set_weights([np.full(w.shape, 0.1, "float32") for w in layer.get_weights()])
        outputs.append(ops.convert_to_numpy(layer(np.cumsum(x, axis=-1), training=True)))
    np.testing.assert_array_equal(outputs[0], outputs[1])
    assert np.abs(outputs[0] - outputs[2]).max() > 1e-3
