"""Masking of tokens at random: the pretraining task."""

import math
from collections.abc import Sequence

import numpy as np

from atmorep_k.components.maskings.masking import Masking
from atmorep_k.errors import UserError
from atmorep_k.registry import component

_NOISE = 0.1


@component("masking")
class RandomTokens(Masking):
    """Chooses tokens at random and hides, noises or coarsens each of them.

    A ratio r ~ U(ratio) is drawn per sample and level, and ceil(r N) of its N tokens, at least
    one, are chosen. Each gets exactly one treatment, drawn by rate: hidden (set to 0, the
    climatology), noised, coarsened, or none for the rest. Noise, with w ~ U(0, 1) per token and
    sigma the standard deviation of the level in this sample:

        x <- (1 - w) x + 0.1 sigma N(0, 1)

    Coarsening replaces the points of a token by their means over blocks of about
    `coarsen_factor` x `coarsen_factor` points, time step by time step. All of this acts on clean
    values (in the original it mostly acted on tokens already set to 0, and its coarsening
    resampled to a finer grid, which loses nothing).

    Args:
        ratio: lowest and highest share of tokens that are chosen.
        hidden: rate of chosen tokens that are hidden.
        noised: rate of chosen tokens that are noised.
        coarsened: rate of chosen tokens that are coarsened.
        coarsen_factor: points of a block along lat and along lon.

    Raises:
        UserError: if a ratio or rate is out of range, or the rates exceed 1.
    """

    def __init__(
        self,
        ratio: Sequence[float] = (0.0, 0.5),
        hidden: float = 0.9,
        noised: float = 0.05,
        coarsened: float = 0.05,
        coarsen_factor: int = 3,
    ):
        self.ratio = tuple(ratio)
        self.hidden = hidden
        self.noised = noised
        self.coarsened = coarsened
        self.coarsen_factor = coarsen_factor
        self._check()

    def _check(self) -> None:
        if len(self.ratio) != 2 or not 0 <= self.ratio[0] <= self.ratio[1] <= 1:
            raise UserError(
                f"RandomTokens.ratio must be two shares with 0 <= lowest <= highest <= 1, "
                f"not {list(self.ratio)}."
            )
        rates = {name: getattr(self, name) for name in ("hidden", "noised", "coarsened")}
        for name, rate in rates.items():
            if not 0 <= rate <= 1:
                raise UserError(f"RandomTokens.{name} must be between 0 and 1, not {rate}.")
        if sum(rates.values()) > 1 + 1e-9:
            raise UserError(f"the rates {rates} of RandomTokens must not exceed 1 together.")
        if self.coarsen_factor < 2:
            raise UserError(
                f"RandomTokens.coarsen_factor must be at least 2, not {self.coarsen_factor}."
            )

    @property
    def hides_wholly(self):
        """Whether all chosen tokens are hidden, none noised, coarsened or left as it is."""
        return self.hidden >= 1

    def num_slots(self, num_tokens):
        """Returns ceil(highest ratio * N), at least 1."""
        return max(1, math.ceil(self.ratio[1] * math.prod(num_tokens)))

    def choose(self, rng, num_levels, num_tokens):
        """Returns random tokens; the first ones of each level have weight 1, the others 0."""
        total, slots = math.prod(num_tokens), self.num_slots(num_tokens)
        ratio = rng.uniform(*self.ratio, size=(num_levels, 1))
        chosen = np.clip(np.ceil(ratio * total), 1, slots)
        order = np.argsort(rng.random((num_levels, total)), axis=1, kind="stable")
        weight = np.arange(slots) < chosen
        return order[:, :slots].astype(np.int32), weight.astype(np.float32)

    def hide(self, tokens, index, weight, token_size, rng):
        """Hides, noises or coarsens each chosen token of weight > 0, in place."""
        rates = np.cumsum([self.hidden, self.noised, self.coarsened])
        # 0, 1, 2: hidden, noised, coarsened; 3: left as it is.
        treatment = np.searchsorted(rates, rng.random(index.shape), side="right")
        treatment[weight == 0] = 3
        level, slot = np.nonzero(treatment == 1)
        if len(level):
            # By level: temporary arrays stay in the processor's cache.
            sigma = np.array([of_level.std() for of_level in tokens])
            where = (level, index[level, slot])
            tokens[where] = _noise(tokens[where], sigma[level, None], rng)
        level, slot = np.nonzero(treatment == 2)
        where = (level, index[level, slot])
        tokens[where] = coarsen(tokens[where], token_size, self.coarsen_factor)
        level, slot = np.nonzero(treatment == 0)
        tokens[level, index[level, slot]] = 0.0


def _noise(values: np.ndarray, sigma: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    share = rng.random((len(values), 1), dtype=np.float32)
    noise = rng.standard_normal(values.shape, dtype=np.float32)
    return (1 - share) * values + _NOISE * sigma * noise


def coarsen(values: np.ndarray, token_size: tuple[int, int, int], factor: int) -> np.ndarray:
    """Replaces the points of tokens (token, value) by means over blocks in lat and lon.

    An axis of n points is cut into round(n / factor) blocks, at least one, of nearly equal size.
    """
    times, *plane = token_size
    cube = values.reshape(-1, times, *plane)
    for axis, size in zip((2, 3), plane, strict=True):
        blocks = max(1, round(size / factor))
        edges = np.arange(blocks + 1) * size // blocks
        lengths = np.diff(edges)
        sums = np.add.reduceat(cube, edges[:-1], axis=axis)
        shape = [-1 if a == axis else 1 for a in range(4)]
        means = sums / lengths.astype(np.float32).reshape(shape)
        cube = np.repeat(means, lengths, axis=axis)
    return cube.reshape(values.shape)
