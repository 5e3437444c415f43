"""What holds for every masking, and the chosen tokens of each."""

import math
from collections import Counter

import numpy as np
import pytest

from atmorep_k import registry
from atmorep_k.batch import tokenize
from atmorep_k.components.maskings import (
    AnyOf,
    Forecast,
    Infill,
    Masking,
    MissingTokens,
    RandomTokens,
    TemporalInterpolation,
)
from atmorep_k.errors import UserError

SIZE = (2, 4, 6)
NUM_TOKENS = (4, 3, 5)
LEVELS = 3


def _any_of(**options):
    return AnyOf([Forecast(), Infill((1, 1, 1)), RandomTokens((0.1, 0.2))], **options)


def _all_maskings():
    single = [e.cls() for e in registry.entries("masking") if e.cls is not AnyOf]
    return [*single, _any_of()]


def _tokens(seed=0):
    cube = np.random.default_rng(seed).standard_normal((LEVELS, 8, 12, 30), np.float32) + 10
    return tokenize(cube, SIZE)


@pytest.mark.parametrize("masking", _all_maskings(), ids=lambda m: type(m).__name__)
@pytest.mark.parametrize("seed", range(5))
def test_every_masking(masking, seed):
    tokens = _tokens()
    clean = tokens.copy()
    masked = masking(tokens, SIZE, np.random.default_rng(seed))
    slots = masking.num_slots(NUM_TOKENS)
    flat, total = clean.reshape(LEVELS, -1, 48), math.prod(NUM_TOKENS)

    np.testing.assert_array_equal(tokens, clean)
    assert masked.index.shape == masked.weight.shape == (LEVELS, slots)
    assert masked.index.dtype == np.int32
    assert masked.weight.dtype == masked.tokens.dtype == masked.target.dtype == np.float32
    assert masked.index.min() >= 0
    assert masked.index.max() < total
    for level in range(LEVELS):
        assert len(set(masked.index[level].tolist())) == slots
        np.testing.assert_array_equal(masked.target[level], flat[level, masked.index[level]])
        # Nothing is missing here.
        least = 0 if isinstance(masking, MissingTokens) else 1
        assert masked.weight[level].sum() >= least
        scored = set(masked.index[level][masked.weight[level] > 0].tolist())
        others = sorted(set(range(total)) - scored)
        seen = masked.tokens.reshape(LEVELS, total, 48)[level]
        np.testing.assert_array_equal(seen[others], flat[level, others])
    assert set(np.unique(masked.weight)) <= {0.0, 1.0}


@pytest.mark.parametrize("masking", _all_maskings(), ids=lambda m: type(m).__name__)
def test_the_generator_decides_all_and_masking_in_place_is_the_same(masking):
    tokens = _tokens()
    first = masking(tokens, SIZE, np.random.default_rng(7))
    second = masking(tokens, SIZE, np.random.default_rng(7), copy=False)
    assert second.tokens is tokens
    for name in ("tokens", "index", "target", "weight"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


@pytest.mark.parametrize("masking", _all_maskings(), ids=lambda m: type(m).__name__)
def test_configuration_makes_the_same_masking(masking):
    again = type(masking).from_config(masking.get_config())
    assert again.get_config() == masking.get_config()


class _First(Masking):
    """Two slots, of which only the first counts."""

    def num_slots(self, num_tokens):
        return 2

    def choose(self, rng, num_levels, num_tokens):
        index = np.tile(np.array([3, 5], np.int32), (num_levels, 1))
        return index, np.tile(np.array([1, 0], np.float32), (num_levels, 1))


def test_a_token_of_weight_0_stays_visible():
    tokens = _tokens()
    seen = _First()(tokens, SIZE, np.random.default_rng(0)).tokens.reshape(LEVELS, -1, 48)
    assert np.all(seen[:, 3] == 0)
    np.testing.assert_array_equal(seen[:, 5], tokens.reshape(LEVELS, -1, 48)[:, 5])


def _chosen(masking, seed=0):
    index, weight = masking.choose(np.random.default_rng(seed), LEVELS, NUM_TOKENS)
    assert np.all(weight == 1)
    assert np.all(index == index[0])
    chosen = np.zeros(math.prod(NUM_TOKENS), bool)
    chosen[index[0]] = True
    return chosen.reshape(NUM_TOKENS)


def test_any_of_draws_a_masking_for_each_sample_by_its_share():
    masking, rng, tokens = _any_of(shares=(1, 0, 3)), np.random.default_rng(0), _tokens()
    scored = [masking(tokens, SIZE, rng).weight.sum(axis=1).tolist() for _ in range(400)]
    # A forecast hides 15 tokens of each level, the random masking at most 12.
    drawn = Counter("forecast" if hidden == [15] * 3 else "random" for hidden in scored)
    assert [1, 1, 1] not in scored
    assert abs(drawn["forecast"] - 100) < 3 * math.sqrt(400 * 0.25 * 0.75)
    assert masking.num_slots(NUM_TOKENS) == 15
    assert not masking.hides_wholly
    assert AnyOf([Forecast(), Infill()]).hides_wholly


def test_tokens_of_any_of_count_by_the_weight_of_their_masking():
    masking, tokens = _any_of(shares=(1, 1, 0), weights=(0.5, 3, 1)), _tokens()
    drawn = {
        (int((weight > 0).sum(axis=1)[0]), float(weight.max()))
        for weight in (masking(tokens, SIZE, np.random.default_rng(s)).weight for s in range(20))
    }
    assert drawn == {(15, 0.5), (1, 3.0)}


@pytest.mark.parametrize("num", [1, 2, 3])
def test_a_forecast_hides_the_end_of_the_window(num):
    chosen = _chosen(Forecast(num))
    assert chosen[4 - num :].all()
    assert not chosen[: 4 - num].any()


@pytest.mark.parametrize(("given", "hidden"), [(None, [2]), ([1, 2], [1, 2]), ((3, 0), [0, 3])])
def test_temporal_interpolation_hides_whole_times(given, hidden):
    chosen = _chosen(TemporalInterpolation(given))
    for time in range(4):
        assert np.all(chosen[time] == (time in hidden))


@pytest.mark.parametrize("size", [None, (2, 1, 2), (1, 3, 5), (4, 2, 1)])
def test_infill_hides_one_block_anywhere(size):
    corners, extent = set(), size or (2, 1, 2)
    for seed in range(200):
        places = np.argwhere(_chosen(Infill(size), seed))
        low, high = places.min(axis=0), places.max(axis=0)
        assert tuple(high - low + 1) == extent
        assert len(places) == math.prod(extent) == Infill(size).num_slots(NUM_TOKENS)
        corners.add(tuple(low.tolist()))
    anywhere = math.prod(n - b + 1 for n, b in zip(NUM_TOKENS, extent, strict=True))
    assert len(corners) == anywhere


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Forecast(0), "Forecast.num_tokens must be at least 1"),
        (lambda: Forecast(4).num_slots(NUM_TOKENS), "at most 3"),
        (lambda: TemporalInterpolation([]), "one or more different"),
        (lambda: TemporalInterpolation([1, 1]), "one or more different"),
        (lambda: TemporalInterpolation([4]).num_slots(NUM_TOKENS), "holds 4.* are 0 to 3"),
        (lambda: TemporalInterpolation([-1]).num_slots(NUM_TOKENS), "holds -1"),
        (lambda: TemporalInterpolation(range(4)).num_slots(NUM_TOKENS), "mask all 4"),
        (lambda: Infill((1, 2)), "three positive sizes"),
        (lambda: Infill((1, 0, 2)), "three positive sizes"),
        (lambda: Infill((5, 1, 1)).num_slots(NUM_TOKENS), "leaves nothing visible"),
        (lambda: Infill(NUM_TOKENS).num_slots(NUM_TOKENS), "leaves nothing visible"),
        (lambda: AnyOf([]), "one or more maskings; it is empty"),
        (lambda: _any_of(shares=(1, 2)), r"AnyOf\.shares must be one number for each of the 3"),
        (lambda: _any_of(weights=(0, 0, 0)), r"AnyOf\.weights .* not all 0, not \[0, 0, 0\]"),
        (lambda: RandomTokens((0.5, 0.2)), "ratio must be two shares"),
        (lambda: RandomTokens((0.5,)), "ratio must be two shares"),
        (lambda: RandomTokens((0.0, 1.2)), "ratio must be two shares"),
        (lambda: RandomTokens(hidden=-0.1), "RandomTokens.hidden must be between"),
        (lambda: RandomTokens(hidden=0.9, noised=0.2), "must not exceed 1"),
        (lambda: RandomTokens(coarsen_factor=1), "at least 2"),
    ],
)
def test_mistakes(make, message):
    with pytest.raises(UserError, match=message):
        make()


@pytest.mark.parametrize("masking", _all_maskings(), ids=lambda m: type(m).__name__)
def test_times_that_a_masking_names_are_masked_in_every_window(masking):
    whole = set(masking.masked_times(NUM_TOKENS[0]))
    tokens_of_time = math.prod(NUM_TOKENS[1:])
    for seed in range(5):
        masked = masking(_tokens(), SIZE, np.random.default_rng(seed))
        for index, weight in zip(masked.index, masked.weight, strict=True):
            count = Counter((index[weight > 0] // tokens_of_time).tolist())
            assert all(count[time] == tokens_of_time for time in whole)
    if isinstance(masking, Forecast | TemporalInterpolation):
        assert whole == set(count)
