"""The base of maskings: what is masked in a window, to be predicted."""

import dataclasses
import math

import numpy as np

from atmorep_k.registry import Component


@dataclasses.dataclass(frozen=True)
class Masked:
    """The tokens of one field and sample as a model sees them, and what it is to predict.

    Args:
        tokens: `(level, T, Y, X, value)` float32, masked.
        index: `(level, slot)` int32, row-major index in (T, Y, X), all different within a level.
        target: `(level, slot, value)` float32, clean values of the tokens at `index`.
        weight: `(level, slot)` float32, 0 for a slot that is not scored.
    """

    tokens: np.ndarray
    index: np.ndarray
    target: np.ndarray
    weight: np.ndarray


class Masking(Component):
    """Chooses tokens of a window and masks them; a task is a choice of what is masked.

    A masking says how many slots it needs (`num_slots`) and which tokens fill them (`choose`).
    The number of slots depends on the tiling alone, so that shapes never change.
    """

    @property
    def hides_wholly(self) -> bool:
        """Whether nothing of a chosen token stays visible, so that a model may leave it out."""
        return True

    def num_slots(self, num_tokens: tuple[int, int, int]) -> int:
        """Returns the slots per sample and level for a window of (T, Y, X) tokens.

        Raises:
            UserError: if the masking does not suit the window.
        """
        raise NotImplementedError

    def masked_times(self, num_times: int) -> list[int]:
        """Returns the time tokens that are masked at all places and levels of every window.

        Empty, unless a subclass masks whole times.

        Args:
            num_times: time tokens of the window.

        Raises:
            UserError: if the masking does not suit the window.
        """
        return []

    def choose(
        self, rng: np.random.Generator, num_levels: int, num_tokens: tuple[int, int, int]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns index `(level, slot)` int32 and weight `(level, slot)` float32.

        The indices of a level are all different. Slots that are not used hold other tokens, which
        stay visible, with weight 0.
        """
        raise NotImplementedError

    def choose_of(
        self, tokens: np.ndarray, num_tokens: tuple[int, int, int], rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns as `choose`, for a masking that looks at the values (level, token, value)."""
        return self.choose(rng, len(tokens), num_tokens)

    def hide(
        self,
        tokens: np.ndarray,
        index: np.ndarray,
        weight: np.ndarray,
        token_size: tuple[int, int, int],
        rng: np.random.Generator,
    ) -> None:
        """Masks the chosen tokens of weight > 0, in place: sets them to 0, the climatology.

        Args:
            tokens: `(level, token, value)` float32, normalised; is changed.
            index: `(level, slot)` tokens chosen.
            weight: `(level, slot)`.
            token_size: points of a token in (time, lat, lon).
            rng: source of all randomness.
        """
        level, slot = np.nonzero(weight)
        tokens[level, index[level, slot]] = 0.0

    def __call__(
        self,
        tokens: np.ndarray,
        token_size: tuple[int, int, int],
        rng: np.random.Generator,
        *,
        copy: bool = True,
    ) -> Masked:
        """Returns what the model sees and what it is to predict.

        Args:
            tokens: `(level, T, Y, X, value)` float32, normalised, contiguous.
            token_size: points of a token in (time, lat, lon).
            rng: source of all randomness.
            copy: leave `tokens` as they are; else they are masked in place.
        """
        num_levels, *num_tokens, values = tokens.shape
        masked = tokens.copy() if copy else tokens
        flat = masked.reshape(num_levels, math.prod(num_tokens), values)
        index, weight = self.choose_of(flat, tuple(num_tokens), rng)
        target = flat[np.arange(num_levels)[:, None], index]
        self.hide(flat, index, weight, token_size, rng)
        return Masked(masked, index, target, weight)


def every_level(index: np.ndarray, num_levels: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns index and weight `(level, slot)` of the same tokens, all scored, in every level."""
    index = np.tile(np.asarray(index, np.int32).reshape(1, -1), (num_levels, 1))
    return index, np.ones(index.shape, np.float32)
