"""A masking that shows what a satellite sees."""

import numpy as np

from atmorep_k.components.maskings import Masking
from atmorep_k.errors import UserError
from atmorep_k.registry import component


@component("masking")
class Swath(Masking):
    """Masks everything but a slanting strip, which moves on from one time token to the next.

    So does a polar orbit: within a time token it crosses all rows, and the turning Earth moves its
    next crossing westwards. Where the strip leaves the window in the east, it comes back in the
    west. Its place is drawn for each sample.

    Args:
        width: visible tokens of a row.
        slant: tokens by which the strip lies further east from one row to the next.
        drift: tokens by which it lies further west from one time token to the next.

    Raises:
        UserError: if the width is not positive, or (when used) nothing would be masked.
    """

    def __init__(self, width: int = 1, slant: int = 1, drift: int = 1):
        self.width = width
        self.slant = slant
        self.drift = drift
        if width < 1:
            raise UserError(f"Swath.width must be at least 1, not {width}.")

    def num_slots(self, num_tokens):
        """Returns the masked tokens of a level: T * Y * (X - width)."""
        times, rows, columns = num_tokens
        if self.width >= columns:
            raise UserError(
                f"Swath.width = {self.width} would hide nothing of a window of {columns} columns "
                f"of tokens; it can be at most {columns - 1}."
            )
        return times * rows * (columns - self.width)

    def choose(self, rng, num_levels, num_tokens):
        """Returns the masked tokens in row-major order, the same at all levels, of weight 1."""
        slots = self.num_slots(num_tokens)
        time, row, column = np.indices(num_tokens)
        first = rng.integers(num_tokens[2]) + self.slant * row - self.drift * time
        masked = (column - first) % num_tokens[2] >= self.width
        index = np.tile(np.flatnonzero(masked).astype(np.int32), (num_levels, 1))
        return index, np.ones((num_levels, slots), np.float32)
