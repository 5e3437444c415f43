"""A masking that is one of several, drawn again for each sample."""

import math
from collections.abc import Sequence

import numpy as np

from atmorep_k.components.maskings.masking import Masked, Masking
from atmorep_k.errors import UserError
from atmorep_k.registry import component


@component("masking")
class AnyOf(Masking):
    """Masks each sample as one of several maskings does: a model learns several tasks at once.

    All samples have as many slots as the largest of the maskings; what is left over holds tokens
    that stay visible, with weight 0. A loss that is a mean over tokens counts a sample by the
    tokens that it masks.

    Args:
        maskings: one of them is drawn for each sample.
        shares: how often each is drawn, relative to each other; None: equally often.
        weights: how much a masked token of each counts in the loss; None: 1. Tasks whose errors
            are small are soon forgotten beside others, unless they count more.

    Raises:
        UserError: if `maskings` is empty, or shares or weights do not fit.
    """

    def __init__(
        self,
        maskings: Sequence[Masking],
        shares: Sequence[float] | None = None,
        weights: Sequence[float] | None = None,
    ):
        self.maskings = list(maskings)
        self.shares = None if shares is None else tuple(shares)
        self.weights = None if weights is None else tuple(weights)
        if not self.maskings:
            raise UserError("AnyOf.maskings must be one or more maskings; it is empty.")
        chances = self._one_for_each("shares")
        self._chances = chances / chances.sum()
        self._counts = self._one_for_each("weights").astype(np.float32)

    def _one_for_each(self, option: str) -> np.ndarray:
        given = getattr(self, option)
        numbers = np.asarray([1.0] * len(self.maskings) if given is None else given, float)
        if len(numbers) != len(self.maskings) or not ((numbers >= 0).all() and numbers.any()):
            raise UserError(
                f"AnyOf.{option} must be one number for each of the {len(self.maskings)} maskings, "
                f"none negative and not all 0, not {list(given)}."
            )
        return numbers

    @property
    def hides_wholly(self):
        """Whether each of the maskings does."""
        return all(m.hides_wholly for m in self.maskings)

    def num_slots(self, num_tokens):
        """Returns the slots of the masking that needs most."""
        return max(m.num_slots(num_tokens) for m in self.maskings)

    def __call__(self, tokens, token_size, rng, *, copy=True):
        """Returns what the model sees and what it is to predict, see `Masking`."""
        num_levels, *num_tokens, values = tokens.shape
        drawn = rng.choice(len(self.maskings), p=self._chances)
        masked = self.maskings[drawn](tokens, token_size, rng, copy=copy)
        more = self.num_slots(tuple(num_tokens)) - masked.index.shape[1]
        index = np.concatenate([masked.index, _others(masked.index, num_tokens, more)], axis=1)
        flat = masked.tokens.reshape(num_levels, -1, values)
        visible = flat[np.arange(num_levels)[:, None], index[:, index.shape[1] - more :]]
        return Masked(
            masked.tokens,
            index,
            np.concatenate([masked.target, visible], axis=1),
            np.pad(self._counts[drawn] * masked.weight, ((0, 0), (0, more))),
        )


def _others(index: np.ndarray, num_tokens: Sequence[int], number: int) -> np.ndarray:
    """Returns so many tokens (level, slot) of each level that are not in `index`."""
    free = np.ones((len(index), math.prod(num_tokens)), bool)
    np.put_along_axis(free, index, False, axis=1)
    # Free tokens first, in their order.
    order = np.argsort(~free, axis=1, kind="stable")
    return order[:, :number].astype(np.int32)
