"""The original's random masking: its distributions, and what each treatment does to a token."""

import math

import numpy as np
import pytest
from scipy import stats

from atmorep_k.components.maskings import OriginalTokens
from atmorep_k.components.maskings.original_tokens import Rates, resample, treat_tokens
from atmorep_k.errors import UserError

NUM_TOKENS = (10, 10, 10)
SIZE = (2, 6, 6)


def _tokens(rng):
    return rng.standard_normal((1, *NUM_TOKENS, math.prod(SIZE)), np.float32) + 5


def test_the_number_of_tokens_is_uniform_up_to_the_rate():
    masking, rng, numbers = OriginalTokens(0.4), np.random.default_rng(0), []
    for _ in range(300):
        index, weight = masking.choose(rng, 2, NUM_TOKENS)
        assert index.shape == (2, masking.num_slots(NUM_TOKENS)) == (2, 400)
        numbers += weight.sum(axis=1).tolist()
    share = (np.array(numbers) - 0.5) / 1000
    assert stats.kstest(share, stats.uniform(0, 0.4).cdf).pvalue > 1e-3


def _counts(hidden, noised, resampled, seed=0):
    """Returns how many tokens are 0, noise alone, untouched and something else, and all."""
    rng = np.random.default_rng(seed)
    masked = OriginalTokens(1.0, hidden, noised, resampled)(_tokens(rng), SIZE, rng)
    seen = masked.tokens.reshape(1000, -1)[masked.index[0]][masked.weight[0] > 0]
    clean = masked.target[0][masked.weight[0] > 0]
    zero = np.all(seen == 0, axis=1)
    only_noise = ~zero & (np.abs(seen).max(axis=1) < 1)
    untouched = np.all(seen == clean, axis=1)
    return zero.sum(), only_noise.sum(), untouched.sum(), len(seen)


def test_the_treatments_are_drawn_independently_and_noise_falls_on_hidden_tokens_too():
    zero, only_noise, untouched, number = np.sum([_counts(0.9, 0.2, 0.05, i) for i in range(8)], 0)
    # Resampling what is 0 leaves it 0.
    expected = np.array([0.9 * 0.8, 0.9 * 0.2, 0.1 * 0.8 * 0.95])
    rest = number - zero - only_noise - untouched
    observed = [zero, only_noise, untouched, rest]
    assert stats.chisquare(observed, number * np.append(expected, 1 - expected.sum())).pvalue > 1e-3


def test_noise_has_the_spread_of_the_clean_level_at_each_place_in_a_token():
    rng = np.random.default_rng(0)
    spread = np.linspace(1, 9, 72)
    tokens = (rng.standard_normal((3, 400, 72)) * spread).astype(np.float32)
    sigma = tokens.reshape(-1, 72).std(axis=0, ddof=1)
    sample, token = np.repeat(np.arange(3), 400), np.tile(np.arange(400), 3)
    treat_tokens(tokens, sample, token, SIZE, Rates(1.0, 1.0, 0.0), rng)
    noise = tokens.reshape(-1, 72) / (0.1 * sigma)
    assert stats.kstest(noise[:, ::7].ravel(), "norm").pvalue > 1e-3
    np.testing.assert_allclose(noise.std(axis=0), 1, rtol=0.1)


def test_noise_takes_a_share_of_the_values_away():
    rng = np.random.default_rng(0)
    tokens = np.full((1, 500, 72), 100, np.float32)
    index = np.arange(500)
    treat_tokens(tokens, index * 0, index, SIZE, Rates(0.0, 1.0, 0.0), rng)
    assert stats.kstest(1 - tokens[0, :, 0] / 100, "uniform").pvalue > 1e-3
    assert np.ptp(tokens, axis=2).max() == 0  # a level that never varies has no noise


@pytest.mark.parametrize("factor", [1.0, 1.3, 1.77, 2.0])
@pytest.mark.parametrize("size", [(3, 9, 9), (2, 6, 10), (1, 1, 4)])
def test_resampling_is_that_of_torch(size, factor):
    torch = pytest.importorskip("torch")
    values = np.random.default_rng(0).standard_normal((5, math.prod(size)), np.float32)
    between = (size[0], *(int(factor * n) for n in size[1:]))
    there = torch.tensor(values.reshape(5, 1, *size))
    for shape in (between, size):
        there = torch.nn.functional.interpolate(there, shape, mode="trilinear")
    ours = resample(values, size, factor)
    np.testing.assert_allclose(ours, there.numpy().reshape(values.shape), atol=5e-6)


def test_resampling_leaves_most_detail():
    values = np.random.default_rng(0).standard_normal((200, 2 * 36), np.float32)
    for factor in (1.0, 1.5, 2.0):
        kept = np.corrcoef(values.ravel(), resample(values, SIZE, factor).ravel())[0, 1]
        assert kept > 0.9
    np.testing.assert_array_equal(resample(values, SIZE, 1.0), values)


def test_only_hidden_at_rate_1_hides_wholly():
    assert OriginalTokens(hidden=1.0).hides_wholly
    assert not OriginalTokens().hides_wholly


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rate": 0.0}, "above 0 and at most 1.*predicted = False"),
        ({"rate": 1.5}, "above 0 and at most 1"),
        ({"noised": -0.1}, "OriginalTokens.noised must be between 0 and 1, not -0.1"),
        ({"resampled": 2}, "OriginalTokens.resampled must be between"),
    ],
)
def test_mistakes(options, message):
    with pytest.raises(UserError, match=message):
        OriginalTokens(**options)
