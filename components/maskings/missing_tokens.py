"""Masking of what is missing: gaps in the data."""

import math

import numpy as np

from atmorep_k.components.maskings.masking import Masking
from atmorep_k.errors import UserError
from atmorep_k.registry import component


@component("masking")
class MissingTokens(Masking):
    """Masks the tokens that have a missing value (NaN), and no others.

    For the task `infill`: trainings refuse missing values.

    Args:
        slots: most tokens of a level that may have one.

    Raises:
        UserError: if it is not positive, or (when used) more tokens have a missing value.
    """

    def __init__(self, slots: int = 1):
        self.slots = slots
        if slots < 1:
            raise UserError(f"MissingTokens.slots must be at least 1, not {slots}.")

    def num_slots(self, num_tokens):
        """Returns `slots`, or all tokens where there are fewer."""
        return min(self.slots, math.prod(num_tokens))

    def choose(self, rng, num_levels, num_tokens):
        """Returns the tokens of a window without missing values: all have weight 0."""
        slots = self.num_slots(num_tokens)
        index = np.tile(np.arange(slots, dtype=np.int32), (num_levels, 1))
        return index, np.zeros(index.shape, np.float32)

    def choose_of(self, tokens, num_tokens, rng):
        """Returns the tokens with missing values, in row-major order, then others of weight 0."""
        missing, slots = np.isnan(tokens).any(axis=-1), self.num_slots(num_tokens)
        most = int(missing.sum(axis=1).max())
        if most > slots:
            raise UserError(
                f"{most} tokens have missing values, but MissingTokens.slots = {slots}."
            )
        index = np.argsort(~missing, axis=1, kind="stable")[:, :slots].astype(np.int32)
        return index, np.take_along_axis(missing, index, axis=1).astype(np.float32)
