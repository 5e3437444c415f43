import keras
import numpy as np
import pytest
from keras import ops

from atmorep_k.components.tails import LinearEnsemble

pytestmark = pytest.mark.backend


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def test_members_are_norms_with_linear_maps_behind_them(randomize):
    tail, x = LinearEnsemble(num_members=3, token_values=5), random(2, 3, 4, 8)
    tail(x)
    found = ops.convert_to_numpy(randomize(tail, scale=0.5)(x))
    assert found.shape == (2, 3, 4, 3, 5)
    scale, shift, kernel, bias = map(
        ops.convert_to_numpy, (tail.scale, tail.shift, tail.kernel, tail.bias)
    )
    for member in range(3):
        norm = keras.layers.LayerNormalization(epsilon=1e-5)
        linear = keras.layers.Dense(5)
        net = keras.Sequential([norm, linear])
        net.build(x.shape)
        norm.set_weights([scale[:, member], shift[:, member]])
        linear.set_weights([kernel[:, member], bias[member]])
        np.testing.assert_allclose(found[..., member, :], ops.convert_to_numpy(net(x)), atol=2e-5)


def test_members_differ_from_the_start():
    keras.utils.set_random_seed(0)
    members = ops.convert_to_numpy(LinearEnsemble(64, 20)(random(2, 1, 3, 64)))
    assert np.abs(members[..., :1, :] - members[..., 1:, :]).max(axis=(0, 1, 2, 4)).min() > 0.1
    # Weights uniform in +-1 / sqrt(D), inputs and the bias of variance 1 and 1 / D: 1 / sqrt(3).
    expected = np.sqrt((1 + 1 / 64) / 3)
    np.testing.assert_allclose(members.std(axis=-2, ddof=1).mean(), expected, rtol=0.03)


def test_it_stays_in_float32():
    tail = LinearEnsemble(3, 5, dtype="mixed_bfloat16")
    half = ops.cast(random(2, 1, 3, 16), "bfloat16")
    assert keras.backend.standardize_dtype(tail(half).dtype) == "float32"
    exact = LinearEnsemble(3, 5)
    exact(half)
    exact.set_weights(tail.get_weights())
    np.testing.assert_array_equal(*(ops.convert_to_numpy(t(half)) for t in (tail, exact)))


def test_one_member_is_an_ensemble_too():
    assert LinearEnsemble(1, 5)(random(2, 1, 3, 16)).shape == (2, 1, 3, 1, 5)
