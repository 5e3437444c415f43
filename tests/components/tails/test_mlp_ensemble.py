import keras
import numpy as np
import pytest
from keras import ops

from atmorep_k.components.tails import LinearEnsemble, MLPEnsemble

pytestmark = pytest.mark.backend


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


@pytest.mark.parametrize("hidden_layers", [1, 3])
def test_members_are_nets_of_their_own(hidden_layers, randomize):
    tail, x = MLPEnsemble(hidden_layers, num_members=3, token_values=5), random(2, 3, 4, 8)
    tail(x)
    found = ops.convert_to_numpy(randomize(tail, scale=0.5)(x))
    assert found.shape == (2, 3, 4, 3, 5)
    maps = [*tail.hidden, (tail.kernel, tail.bias)]
    for member in range(3):
        norm = keras.layers.LayerNormalization(epsilon=1e-5)
        exact_gelu = lambda y: ops.gelu(y, approximate=False)  # noqa: E731
        hidden = [keras.layers.Dense(8, activation=exact_gelu) for _ in range(hidden_layers)]
        net = keras.Sequential([norm, *hidden, keras.layers.Dense(5)])
        net.build(x.shape)
        scale, shift = (w.numpy()[:, member] for w in (tail.scale, tail.shift))
        norm.set_weights([scale, shift])
        for layer, (kernel, bias) in zip(net.layers[1:], maps, strict=True):
            layer.set_weights([kernel.numpy()[:, member], bias.numpy()[member]])
        np.testing.assert_allclose(found[..., member, :], ops.convert_to_numpy(net(x)), atol=2e-5)


def test_without_hidden_layers_it_is_linear(randomize):
    tail, linear, x = MLPEnsemble(0, 3, 5), LinearEnsemble(3, 5), random(2, 1, 3, 8)
    tail(x), linear(x)
    linear.set_weights(randomize(tail).get_weights())
    np.testing.assert_allclose(*(ops.convert_to_numpy(t(x)) for t in (tail, linear)), atol=1e-6)
