"""Masking of tokens at random as the original does it, where results are to be compared."""

import math
from typing import NamedTuple

import numpy as np

from atmorep_k.components.maskings.masking import Masking
from atmorep_k.errors import UserError
from atmorep_k.registry import component

_NOISE = 0.1
_FINEST = 2


class Rates(NamedTuple):
    """Rates of the treatments of chosen tokens; each is drawn for itself."""

    hidden: float
    noised: float
    resampled: float


@component("masking")
class OriginalTokens(Masking):
    """Chooses tokens at random as the original AtmoRep does in its strategy "BERT".

    A ratio r ~ U(0, rate) is drawn per sample and level, and ceil(r N) of its N tokens are chosen.
    Three treatments are then drawn independently of each other and act one after the other on the
    same values, so that most noised and resampled tokens are hidden ones, and some tokens get no
    treatment and are to be predicted although they are seen:

    1. hidden: x <- 0, the climatology;
    2. noised: x <- (1 - w) x + 0.1 sigma N(0, 1), w ~ U(0, 1) per token, sigma the standard
       deviation (ddof 1) over all tokens of the level, clean, for each value of a token;
    3. resampled (the original's "multi-resolution"): trilinearly in lat and lon to another size
       and back. A quirk: that size is drawn (once per level) between one and two times the
       token's, a *finer* grid, so that hardly any detail is lost.

    Use `RandomTokens` for training. The defaults are the original's of 2024. A field with rate 0 in
    the original is one that is input only here (`FieldSpec.predicted`).

    Args:
        rate: highest share of tokens that are chosen.
        hidden: rate of chosen tokens that are hidden.
        noised: rate of chosen tokens that are noised.
        resampled: rate of chosen tokens that are resampled.

    Raises:
        UserError: if a rate is out of range.
    """

    def __init__(
        self, rate: float = 0.5, hidden: float = 0.9, noised: float = 0.2, resampled: float = 0.05
    ):
        self.rate = rate
        self.hidden = hidden
        self.noised = noised
        self.resampled = resampled
        if not 0 < rate <= 1:
            raise UserError(
                f"OriginalTokens.rate must be above 0 and at most 1, not {rate}; a field that is "
                f"not masked has FieldSpec.predicted = False."
            )
        for name in Rates._fields:
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(
                    f"OriginalTokens.{name} must be between 0 and 1, not {getattr(self, name)}."
                )

    @property
    def hides_wholly(self):
        """Whether all chosen tokens are hidden; what noise is then added says nothing of them."""
        return self.hidden >= 1

    def num_slots(self, num_tokens):
        """Returns ceil(rate * N)."""
        return math.ceil(self.rate * math.prod(num_tokens))

    def choose(self, rng, num_levels, num_tokens):
        """Returns random tokens; the first ones of each level have weight 1, the others 0."""
        total, slots = math.prod(num_tokens), self.num_slots(num_tokens)
        drawn = [choose_tokens(rng, 1, total, self.rate) for _ in range(num_levels)]
        index = np.concatenate([order[:, :slots] for order, _ in drawn])
        chosen = np.concatenate([counts for _, counts in drawn])
        weight = np.arange(slots) < np.maximum(chosen, 1)[:, None]
        return index.astype(np.int32), weight.astype(np.float32)

    def hide(self, tokens, index, weight, token_size, rng):
        """Treats the chosen tokens of weight > 0, in place."""
        rates = Rates(self.hidden, self.noised, self.resampled)
        for level, values in enumerate(tokens):
            chosen = index[level, weight[level] > 0]
            sample = np.zeros(len(chosen), np.int64)
            treat_tokens(values[None], sample, chosen, token_size, rates, rng)


def choose_tokens(
    rng: np.random.Generator, num_samples: int, num_tokens: int, rate: float
) -> tuple[np.ndarray, np.ndarray]:
    """Draws the tokens of one level of a batch.

    Args:
        rng: source of all randomness.
        num_samples: samples of the batch.
        num_tokens: tokens of the level.
        rate: highest share of tokens that are chosen.

    Returns:
        All tokens in random order (sample, token), and how many of them, from the first on, are
        chosen (sample,).
    """
    counts = np.ceil(num_tokens * (rng.random(num_samples) * rate)).astype(np.int64)
    return np.stack([rng.permutation(num_tokens) for _ in counts]), counts


def treat_tokens(
    tokens: np.ndarray,
    sample: np.ndarray,
    token: np.ndarray,
    token_size: tuple[int, int, int],
    rates: Rates,
    rng: np.random.Generator,
) -> None:
    """Treats the chosen tokens of one level of a batch, in place.

    Args:
        tokens: (sample, token, value) float32, normalised; is changed.
        sample: (chosen,) the sample of each chosen token.
        token: (chosen,) its index.
        token_size: points of a token in (time, lat, lon).
        rates: of the three treatments.
        rng: source of all randomness.
    """
    number = len(token)
    hidden, noised, resampled = (rng.random(number) < rate for rate in rates)
    if noised.any():
        # Of the clean values, before any treatment.
        flat = tokens.reshape(-1, tokens.shape[-1])
        sigma = flat.std(axis=0, ddof=min(1, len(flat) - 1))
    tokens[sample[hidden], token[hidden]] = 0.0
    share = rng.random((np.count_nonzero(noised), 1), dtype=np.float32)
    if noised.any():
        where = sample[noised], token[noised]
        noise = rng.standard_normal((len(share), tokens.shape[-1]), dtype=np.float32)
        tokens[where] = (1 - share) * tokens[where] + _NOISE * sigma * noise
    if resampled.any():
        factor = _FINEST - (_FINEST - 1) * rng.random()
        where = sample[resampled], token[resampled]
        tokens[where] = resample(tokens[where], token_size, factor)


def resample(values: np.ndarray, token_size: tuple[int, int, int], factor: float) -> np.ndarray:
    """Returns tokens (token, value) resampled linearly in lat and lon to int(factor n), and back.

    Args:
        values: tokens.
        token_size: points of a token in (time, lat, lon).
        factor: size of the grid in between, in sizes of a token.
    """
    _, *plane = token_size
    between = [int(factor * size) for size in plane]
    rows, columns = (_linear(n, m) @ _linear(m, n) for n, m in zip(plane, between, strict=True))
    cube = values.reshape(-1, *token_size)
    cube = np.einsum("ry,cx,ntrc->ntyx", rows, columns, cube, optimize=True)
    return cube.reshape(values.shape)


def _linear(size: int, target: int) -> np.ndarray:
    """Returns the matrix (size, target) of linear interpolation between the middles of cells.

    Beyond the outermost middles the outermost values go on.
    """
    place = np.clip((np.arange(target) + 0.5) * size / target - 0.5, 0, size - 1)
    lower = place.astype(np.int64)
    upper, share = np.minimum(lower + 1, size - 1), place - lower
    unit = np.eye(size)
    return (unit[:, lower] * (1 - share) + unit[:, upper] * share).astype(np.float32)
