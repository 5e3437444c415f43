import numpy as np
import pytest

from atmorep_k.batch import detokenize
from atmorep_k.components.maskings import MissingTokens
from atmorep_k.errors import UserError

SIZE = (2, 4, 6)


def tokens(*missing):
    """Tokens (2 levels, 2, 3, 2, value); NaN where (level, row-major token, value) is missing."""
    values = np.random.default_rng(0).standard_normal((2, 12, 48)).astype("float32")
    for place in missing:
        values[place] = np.nan
    return values.reshape(2, 2, 3, 2, 48)


def test_exactly_the_tokens_with_gaps_are_hidden():
    given = tokens((0, 7, 3), (0, 2, slice(None)), (0, 7, 40), (1, 11, 0))
    masked = MissingTokens(slots=3)(given, SIZE, np.random.default_rng(0))
    np.testing.assert_array_equal(masked.index[:, :2], [[2, 7], [11, 0]])
    np.testing.assert_array_equal(masked.weight, [[1, 1, 0], [1, 0, 0]])
    flat, shown = given.reshape(2, 12, 48), masked.tokens.reshape(2, 12, 48)
    hidden = np.isnan(flat).any(axis=-1)
    assert (shown[hidden] == 0).all()
    np.testing.assert_array_equal(shown[~hidden], flat[~hidden])
    assert all(len(set(of_level)) == 3 for of_level in masked.index.tolist())
    assert np.isfinite(detokenize(masked.tokens, SIZE)).all()


def test_more_gaps_than_slots_are_refused():
    with pytest.raises(UserError, match="2 tokens have missing values"):
        MissingTokens()(tokens((1, 0, 0), (1, 5, 0)), SIZE, np.random.default_rng(0))
    with pytest.raises(UserError, match="slots must be at least 1, not 0"):
        MissingTokens(0)
