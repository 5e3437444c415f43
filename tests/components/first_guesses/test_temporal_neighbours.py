"""The first guess: linear interpolation in time, persistence at the ends, else the climatology."""

import numpy as np
import pytest
from keras import ops

from atmorep_k.batch import detokenize, tokenize
from atmorep_k.components.first_guesses import TemporalNeighbours
from atmorep_k.components.maskings import Forecast
from atmorep_k.errors import UserError
from atmorep_k.evaluation import baselines

pytestmark = pytest.mark.backend

SIZE = (2, 2, 3)


def guess(tokens):
    return ops.convert_to_numpy(TemporalNeighbours(token_size=SIZE)(tokens[None]))[0]


def test_it_is_the_baseline_of_linear_interpolation():
    rng = np.random.default_rng(0)
    cube = rng.standard_normal((2, 8, 4, 6), "float32")
    tokens = tokenize(cube, SIZE)
    hidden = rng.random(tokens.shape[:-1]) < 0.6
    hidden[0, :, 0, 0] = True
    tokens[hidden] = 0
    points = detokenize(np.repeat(hidden[..., None], 12, axis=-1), SIZE)
    expected = baselines.linear_interpolation(cube, points, np.zeros_like(cube))
    assert hidden.all(axis=1).any()
    assert hidden[:, -1].any()
    np.testing.assert_allclose(detokenize(guess(tokens), SIZE), expected, atol=1e-6)


@pytest.mark.parametrize("encode", ["all", "visible", "apart"])
def test_a_model_of_silent_tails_forecasts_persistence(encode, make_model, make_field, make_batch):
    field = make_field()
    model = make_model([field], encode, first_guess=TemporalNeighbours(scale=0.4))
    model.build()
    inputs, _, _ = make_batch([field], slots=8)
    clean = np.random.default_rng(1).standard_normal(inputs["temperature/tokens"].shape, "float32")
    for sample, tokens in enumerate(clean):
        masked = Forecast()(tokens, field.token_size, np.random.default_rng(0))
        inputs["temperature/tokens"][sample] = masked.tokens
        inputs["temperature/masked_index"][sample] = masked.index
    tail = model.part("tail", "temperature")
    tail.kernel.assign(0 * tail.kernel)
    tail.bias.assign(0 * tail.bias)
    silent = ops.convert_to_numpy(model(inputs)["temperature"])
    last = detokenize(clean, field.token_size)[:, :, 1:2]
    expected = tokenize(np.repeat(last, 2, axis=2), field.token_size).reshape(2, 2, 8, 1, 8)
    np.testing.assert_array_equal(silent, np.broadcast_to(expected, silent.shape))
    # Tails that say one depart by the scale in the first hour and, at most one, in the second.
    tail.bias.assign(0 * tail.bias + 1)
    departed = ops.convert_to_numpy(model(inputs)["temperature"]) - silent
    np.testing.assert_allclose(departed[..., :4], 0.4, atol=1e-6)
    np.testing.assert_allclose(departed[..., 4:], 0.8, atol=1e-6)


def test_departures_grow_with_the_steps_from_what_is_visible():
    tokens = np.ones((1, 1, 5, 1, 2, 12), "float32")
    tokens[:, :, 1:3, :, 0] = 0
    tokens[:, :, :, :, 1] = 0
    sigma = ops.convert_to_numpy(TemporalNeighbours(0.1, SIZE).departures(tokens))
    assert sigma.shape == tokens.shape
    between = [0.1 * step * (5 - step) / 5 for step in (1, 2, 3, 4)]
    np.testing.assert_allclose(sigma[0, 0, 1:3, 0, 0, ::6].ravel(), between, rtol=1e-5)
    # With nothing to see: as far as the climatology goes.
    np.testing.assert_array_equal(sigma[:, :, :, :, 1], 1)
    tokens[:, :, :4, :, 1] = 1
    after = ops.convert_to_numpy(TemporalNeighbours(0.6, SIZE).departures(tokens))
    np.testing.assert_allclose(after[0, 0, 4, 0, 1], [0.6] * 6 + [1] * 6, rtol=1e-5)


def test_mistakes():
    with pytest.raises(UserError, match=r"TemporalNeighbours\.scale must be positive, not 0"):
        TemporalNeighbours(scale=0)
