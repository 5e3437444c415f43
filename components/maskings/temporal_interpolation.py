"""Masking of times inside a window: interpolation in time."""

from collections.abc import Sequence

import numpy as np

from atmorep_k.components.maskings.masking import Masking, every_level
from atmorep_k.errors import UserError
from atmorep_k.registry import component


@component("masking")
class TemporalInterpolation(Masking):
    """Masks given time tokens of a window, at all places and levels.

    Args:
        time_tokens: which time tokens are masked, counted from 0; the middle one, T // 2, if None.

    Raises:
        UserError: if they repeat or (when used) are not in the window or leave nothing to see.
    """

    def __init__(self, time_tokens: Sequence[int] | None = None):
        self.time_tokens = None if time_tokens is None else tuple(time_tokens)
        if self.time_tokens is not None and (
            not self.time_tokens or len(set(self.time_tokens)) < len(self.time_tokens)
        ):
            raise UserError(
                f"TemporalInterpolation.time_tokens must be one or more different tokens, "
                f"not {list(self.time_tokens)}."
            )

    def num_slots(self, num_tokens):
        """Returns the number of masked time tokens times Y * X."""
        return len(self.masked_times(num_tokens[0])) * num_tokens[1] * num_tokens[2]

    def choose(self, rng, num_levels, num_tokens):
        """Returns the tokens of the masked times in row-major order, all with weight 1."""
        index = np.arange(np.prod(num_tokens)).reshape(num_tokens)
        return every_level(index[self.masked_times(num_tokens[0])], num_levels)

    def masked_times(self, num_times):
        """Returns `time_tokens`, ascending."""
        masked = [num_times // 2] if self.time_tokens is None else sorted(self.time_tokens)
        outside = [t for t in masked if not 0 <= t < num_times]
        if outside:
            raise UserError(
                f"TemporalInterpolation.time_tokens holds {outside[0]}, but the time tokens of the "
                f"window are 0 to {num_times - 1}."
            )
        if len(masked) >= num_times:
            raise UserError(
                f"TemporalInterpolation would mask all {num_times} time tokens of the window; "
                f"at least one must stay visible."
            )
        return masked
