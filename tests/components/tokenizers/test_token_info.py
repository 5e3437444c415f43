import numpy as np
import pytest
from keras import ops

from atmorep_k.batch import TOKEN_INFO
from atmorep_k.components.tokenizers import TokenInfo
from atmorep_k.components.tokenizers.token_info import harmonic_features

pytestmark = pytest.mark.backend


def info(**changes):
    """The eight numbers of a token, by name."""
    values = {
        "year": 2020,
        "day_of_year": 45,
        "hour": 7,
        "level": 850,
        "colatitude": 40,
        "longitude": 355,
        "resolution": 0.25,
        **changes,
    }
    return np.array([values[name] for name in TOKEN_INFO], "float32")


def features(**changes):
    return ops.convert_to_numpy(harmonic_features(ops.convert_to_tensor(info(**changes))))


@pytest.mark.parametrize("kind", ["harmonic", "raw"])
@pytest.mark.parametrize("hidden", [(), (6,), (6, 7)])
def test_the_information_is_not_seen_at_the_start(kind, hidden, randomize):
    layer, numbers = TokenInfo(4, hidden, kind), np.stack([info(), info(hour=8)])
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(numbers)), np.zeros((2, 4)))
    # Positive weights of positive numbers: no hidden unit is dead by chance.
    layer.set_weights([np.abs(weight) for weight in randomize(layer).get_weights()])
    one, other = ops.convert_to_numpy(layer(numbers))
    assert np.abs(one - other).max() > 1e-3


def test_raw_numbers_go_into_one_linear_map(randomize):
    layer = TokenInfo(4, features="raw")
    layer(info()[None])
    found = ops.convert_to_numpy(randomize(layer)(info()[None]))[0]
    kernel, bias = layer.get_weights()
    assert kernel.shape == (8, 4)
    np.testing.assert_allclose(found, info() @ kernel + bias, rtol=1e-5)


@pytest.mark.parametrize(
    "changes", [{"day_of_year": 45 + 365.25}, {"hour": 31}, {"longitude": -5}, {"longitude": 715}]
)
def test_cyclic_numbers_come_round(changes):
    np.testing.assert_allclose(features(**changes), features(), atol=1e-4)


@pytest.mark.parametrize(
    "changes",
    [
        {"year": 2021},
        {"day_of_year": 46},
        {"hour": 8},
        {"level": 925},
        {"colatitude": 50},
        {"longitude": 5},
        {"resolution": 0.5},
    ],
)
def test_every_number_is_told_apart(changes):
    assert np.abs(features(**changes) - features()).max() > 0.01


def test_features_are_sines_cosines_and_numbers_of_about_one():
    found = features()
    np.testing.assert_allclose(
        found[2:4], [np.sin(7 * np.pi / 12), np.cos(7 * np.pi / 12)], atol=1e-5
    )
    np.testing.assert_allclose(np.square(found[:8]).reshape(4, 2).sum(axis=1), 1, atol=1e-5)
    for extreme in (
        info(year=1940, level=0, resolution=0.03),
        info(year=2100, level=1000, resolution=5),
    ):
        values = ops.convert_to_numpy(harmonic_features(ops.convert_to_tensor(extreme)))
        assert np.abs(values).max() <= 20
