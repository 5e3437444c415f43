"""Random masking: distributions, and what each treatment does to a token."""

import numpy as np
import pytest
from scipy import stats

from atmorep_k.batch import detokenize
from atmorep_k.components.maskings import RandomTokens
from atmorep_k.components.maskings.random_tokens import coarsen

NUM_TOKENS = (10, 10, 10)
SIZE = (2, 6, 6)


def test_the_ratio_is_uniform_per_sample_and_level():
    rng, masking = np.random.default_rng(0), RandomTokens((0.1, 0.6))
    numbers = []
    for _ in range(200):
        index, weight = masking.choose(rng, 3, NUM_TOKENS)
        assert index.shape == (3, 600)
        numbers.append(weight.sum(axis=1))
    # ceil(r N) with r uniform is uniform on the whole numbers between.
    share = (np.array(numbers) - 0.5) / 1000
    assert stats.kstest(share.ravel(), stats.uniform(0.1, 0.5).cdf).pvalue > 1e-3
    assert abs(np.corrcoef(share[:, 0], share[:, 1])[0, 1]) < 0.25


@pytest.mark.parametrize(
    ("ratio", "slots", "scored"),
    [((0.0, 0.0), 1, 1), ((1.0, 1.0), 1000, 1000), ((0.0101, 0.0101), 11, 11)],
)
def test_number_of_tokens_is_rounded_up(ratio, slots, scored):
    masking = RandomTokens(ratio)
    index, weight = masking.choose(np.random.default_rng(0), 2, NUM_TOKENS)
    assert masking.num_slots(NUM_TOKENS) == index.shape[1] == slots
    assert weight.sum(axis=1).tolist() == [scored, scored]


def test_all_tokens_are_as_likely():
    rng, counts = np.random.default_rng(1), np.zeros(24)
    masking = RandomTokens((0.25, 0.25))
    for _ in range(1000):
        index, weight = masking.choose(rng, 1, (2, 3, 4))
        counts += np.bincount(index[weight > 0], minlength=24)
    assert counts.sum() == 6000
    assert stats.chisquare(counts).pvalue > 1e-3


def _tokens(rng, levels=1):
    tokens = rng.standard_normal((levels, *NUM_TOKENS, int(np.prod(SIZE))), np.float32)
    return tokens + 5


def test_each_chosen_token_gets_exactly_one_treatment():
    rng = np.random.default_rng(0)
    rates = {"hidden": 0.5, "noised": 0.2, "coarsened": 0.2}
    masked = RandomTokens((1.0, 1.0), **rates)(_tokens(rng), SIZE, rng)
    seen = masked.tokens.reshape(1000, -1)[masked.index[0]]
    clean = masked.target[0]
    hidden = np.all(seen == 0, axis=1)
    kept = np.all(seen == clean, axis=1)
    coarse = np.all(seen == coarsen(clean, SIZE, 3), axis=1)
    noised = ~hidden & ~kept & ~coarse
    assert not np.any(hidden & kept | hidden & coarse | kept & coarse)
    # A noised token differs from its clean values everywhere, not here and there.
    assert np.mean(seen[noised] != clean[noised]) > 0.999
    counts = [hidden.sum(), noised.sum(), coarse.sum(), kept.sum()]
    assert stats.chisquare(counts, [500, 200, 200, 100]).pvalue > 1e-3


def test_noise_follows_its_formula():
    rng = np.random.default_rng(0)
    tokens = np.repeat(rng.normal(100, 20, (2, *NUM_TOKENS, 1)), 72, axis=-1).astype(np.float32)
    tokens[1] *= 3
    masking = RandomTokens((1.0, 1.0), hidden=0, noised=1, coarsened=0)
    masked = masking(tokens, SIZE, rng)
    for level in range(2):
        seen = masked.tokens[level].reshape(1000, -1)
        clean = tokens[level].reshape(1000, -1)[:, 0]
        sigma = tokens[level].std()
        noise = seen - seen.mean(axis=1, keepdims=True)
        assert noise.std(ddof=1) == pytest.approx(0.1 * sigma, rel=0.02)
        assert stats.kstest(noise[::10].ravel() / noise.std(), "norm").pvalue > 1e-3
        share = 1 - seen.mean(axis=1) / clean
        assert stats.kstest(share, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("size", [(2, 6, 6), (1, 9, 18), (3, 5, 7), (2, 1, 4), (1, 2, 2)])
def test_coarsening_leaves_no_variance_within_blocks_and_keeps_their_means(size):
    values = np.random.default_rng(0).standard_normal((5, int(np.prod(size))), np.float32)
    before, after = values.reshape(5, *size), coarsen(values, size, 3).reshape(5, *size)
    blocks = [max(1, round(n / 3)) for n in size[1:]]
    edges = [np.arange(b + 1) * n // b for b, n in zip(blocks, size[1:], strict=True)]
    for y in range(blocks[0]):
        for x in range(blocks[1]):
            part = np.s_[..., edges[0][y] : edges[0][y + 1], edges[1][x] : edges[1][x + 1]]
            assert np.all(np.ptp(after[part], axis=(-1, -2)) == 0)
            means = before[part].mean(axis=(-1, -2))
            np.testing.assert_allclose(after[part][..., 0, 0], means, rtol=1e-4, atol=1e-6)
    assert len(np.unique(after[0, 0])) == blocks[0] * blocks[1]


def test_coarsening_loses_fine_detail_and_keeps_coarse_detail():
    y, x = np.mgrid[0:9, 0:9]
    fine = ((-1.0) ** (x + y)).astype(np.float32)
    large = (y // 3 - x // 3).astype(np.float32)
    lost = coarsen(fine.reshape(1, -1), (1, 9, 9), 3)
    kept = coarsen(large.reshape(1, -1), (1, 9, 9), 3)
    assert np.abs(lost).max() <= 1 / 9 + 1e-6
    np.testing.assert_array_equal(kept, large.reshape(1, -1))


def test_coarsening_does_not_mix_times():
    values = np.zeros((1, 2, 3, 3), np.float32)
    values[0, 1] = 1
    after = coarsen(values.reshape(1, -1), (2, 3, 3), 3)
    np.testing.assert_array_equal(after.reshape(values.shape), values)


def test_blocks_of_a_coarsened_token_are_blocks_on_the_map():
    rng = np.random.default_rng(0)
    masking = RandomTokens((1.0, 1.0), hidden=0, noised=0, coarsened=1)
    masked = masking(_tokens(rng), SIZE, rng)
    cube = detokenize(masked.tokens, SIZE)
    within = cube.reshape(1, 20, 20, 3, 20, 3)
    assert np.ptp(within, axis=(3, 5)).max() == 0
    assert np.diff(cube, axis=1).std() > 0
