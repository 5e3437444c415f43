"""Masking of a connected block: infilling."""

from collections.abc import Sequence

import numpy as np

from atmorep_k.components.maskings.masking import Masking, every_level
from atmorep_k.errors import UserError
from atmorep_k.registry import component


@component("masking")
class Infill(Masking):
    """Masks one block of neighbouring tokens in space and time, the same at all levels.

    Args:
        size: tokens of the block in (time, lat, lon); half of the window along each axis, at
            least one token, if None. Its place in the window is drawn for each sample.

    Raises:
        UserError: if it does not have three positive sizes, or (when used) is as large as the
            window or larger.
    """

    def __init__(self, size: Sequence[int] | None = None):
        self.size = None if size is None else tuple(size)
        if self.size is not None and (len(self.size) != 3 or min(self.size) < 1):
            raise UserError(
                f"Infill.size needs three positive sizes (time, lat, lon), not {list(self.size)}."
            )

    def num_slots(self, num_tokens):
        """Returns the number of tokens in the block."""
        return int(np.prod(self._block(num_tokens)))

    def choose(self, rng, num_levels, num_tokens):
        """Returns the block's tokens in row-major order, all with weight 1."""
        block = self._block(num_tokens)
        begin = [int(rng.integers(n - b + 1)) for n, b in zip(num_tokens, block, strict=True)]
        index = np.arange(np.prod(num_tokens)).reshape(num_tokens)
        chosen = tuple(slice(a, a + b) for a, b in zip(begin, block, strict=True))
        return every_level(index[chosen], num_levels)

    def _block(self, num_tokens: tuple[int, int, int]) -> tuple[int, ...]:
        block = self.size or tuple(max(1, n // 2) for n in num_tokens)
        fits = all(b <= n for b, n in zip(block, num_tokens, strict=True))
        if not fits or np.prod(block) >= np.prod(num_tokens):
            raise UserError(
                f"an Infill block of {tuple(block)} tokens (time, lat, lon) leaves nothing "
                f"visible in a window of {tuple(num_tokens)} tokens; choose a smaller size."
            )
        return block
