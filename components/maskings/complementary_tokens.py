"""Masking of one of several parts that make up a window, for a reconstruction of all of it."""

import functools
import itertools

import numpy as np

from atmorep_k.components.maskings.masking import Masking
from atmorep_k.errors import UserError
from atmorep_k.registry import component


@component("masking")
class ComplementaryTokens(Masking):
    """Masks one of several parts; all parts together mask every token of a window exactly once.

    For the task `correct`. The token at (t, y, x) of the level number l is in the part
    (a t + b y + c x + l) mod `parts`, where a, b, c are those numbers for which the fewest of the
    26 neighbours of a token are masked with it; none of those that share a face with it ever are,
    nor is the same place at the next level.

    Args:
        parts: number of parts, each about 1 / `parts` of the tokens.
        part: the one that is masked, from 0.

    Raises:
        UserError: if there are fewer than two parts, or not this one.
    """

    def __init__(self, parts: int = 4, part: int = 0):
        self.parts, self.part = parts, part
        if parts < 2:
            raise UserError(f"ComplementaryTokens.parts must be at least 2, not {parts}.")
        if not 0 <= part < parts:
            raise UserError(f"ComplementaryTokens.part must be 0 to {parts - 1}, not {part}.")

    def num_slots(self, num_tokens):
        """Returns the tokens of the largest part."""
        return int(np.bincount(self._parts(0, num_tokens)).max())

    def choose(self, rng, num_levels, num_tokens):
        """Returns the tokens of the part in row-major order, then others of weight 0."""
        parts = np.stack([self._parts(level, num_tokens) for level in range(num_levels)])
        hidden, slots = parts == self.part, self.num_slots(num_tokens)
        index = np.argsort(~hidden, axis=1, kind="stable")[:, :slots].astype(np.int32)
        return index, np.take_along_axis(hidden, index, axis=1).astype(np.float32)

    def _parts(self, level: int, num_tokens: tuple[int, int, int]) -> np.ndarray:
        """Returns the part (token,) that each token of a level is in."""
        place = np.indices(num_tokens).reshape(3, -1)
        return (np.array(_strides(self.parts)) @ place + level) % self.parts


@functools.cache
def _strides(parts: int) -> tuple[int, ...]:
    """Returns (a, b, c), each 1 to parts - 1, with the fewest neighbours in the same part."""
    around = [n for n in itertools.product((-1, 0, 1), repeat=3) if any(n)]
    return min(
        itertools.product(range(1, parts), repeat=3),
        key=lambda strides: np.count_nonzero(np.array(around) @ strides % parts == 0),
    )
