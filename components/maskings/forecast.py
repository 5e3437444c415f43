"""Masking of the end of a window: a forecast."""

import numpy as np

from atmorep_k.components.maskings.masking import Masking, every_level
from atmorep_k.errors import UserError
from atmorep_k.registry import component


@component("masking")
class Forecast(Masking):
    """Masks the last time tokens of a window, at all places and levels.

    Args:
        num_tokens: how many time tokens are forecast.

    Raises:
        UserError: if it is not positive, or (when used) nothing would be left to see.
    """

    def __init__(self, num_tokens: int = 1):
        self.num_tokens = num_tokens
        if num_tokens < 1:
            raise UserError(f"Forecast.num_tokens must be at least 1, not {num_tokens}.")

    def num_slots(self, num_tokens):
        """Returns num_tokens * Y * X."""
        times, rows, columns = num_tokens
        return len(self.masked_times(times)) * rows * columns

    def masked_times(self, num_times):
        """Returns the last `num_tokens` time tokens."""
        if self.num_tokens >= num_times:
            raise UserError(
                f"Forecast.num_tokens = {self.num_tokens} would mask the whole window of "
                f"{num_times} time tokens; it can be at most {num_times - 1}."
            )
        return list(range(num_times - self.num_tokens, num_times))

    def choose(self, rng, num_levels, num_tokens):
        """Returns the last tokens in row-major order, all with weight 1."""
        slots = self.num_slots(num_tokens)
        total = int(np.prod(num_tokens))
        return every_level(np.arange(total - slots, total), num_levels)
