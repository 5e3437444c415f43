import numpy as np
import pytest
from scipy import stats

from atmorep_k.windows.randomness import below, bits, fraction, permutation


def test_bits_depend_on_every_argument():
    arguments = [(0, "a", 0, 0), (1, "a", 0, 0), (0, "b", 0, 0), (0, "a", 1, 0), (0, "a", 0, 1)]
    drawn = [bits(*a).random_raw(4).tobytes() for a in arguments]
    assert len(set(drawn)) == len(arguments)
    assert drawn[0] == bits(0, "a", 0, 0).random_raw(4).tobytes()


def test_streams_of_neighbouring_samples_do_not_overlap():
    drawn = [bits(0, "a", 0, index).random_raw(1000) for index in range(20)]
    assert len(np.unique(np.concatenate(drawn))) == 20_000


@pytest.mark.parametrize("seed", [-1, 2**64 + 3])
def test_any_integer_is_a_seed(seed):
    assert bits(seed, "a").random_raw() == bits(seed % 2**64, "a").random_raw()


def test_edges_of_fraction_and_below():
    assert fraction(0) == 0.0
    assert fraction(2**64 - 1) == 1 - 2.0**-53
    assert below(0, 7) == 0
    assert below(2**64 - 1, 7) == 6


def test_below_is_uniform():
    drawn = [below(raw, 7) for raw in bits(0, "a").random_raw(7000)]
    assert stats.chisquare(np.bincount(drawn, minlength=7)).pvalue > 1e-3


def test_permutation_holds_every_number_once_and_turns_differ():
    turns = [permutation(0, "a", turn, 100) for turn in range(3)]
    for order in turns:
        assert sorted(order) == list(range(100))
    assert not np.array_equal(turns[0], turns[1])
    assert not np.array_equal(turns[1], turns[2])
