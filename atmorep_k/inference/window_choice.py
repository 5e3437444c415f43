"""Which windows are predicted, where that depends on the data."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any


@dataclasses.dataclass(frozen=True)
class WindowChoice:
    """The windows to predict of those that cover a grid, and what a model sees of them.

    Args:
        dataset: has `sample(tile, masking, rng)` and `indices(tile, field)`.
        masking: what is hidden, or several, see `inference.predict`.
        numbers: start -> numbers of its windows in the tiling, at least one.
    """

    dataset: Any
    masking: Any
    numbers: Mapping[int, Sequence[int]]
