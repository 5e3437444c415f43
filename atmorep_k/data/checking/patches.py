"""Places of a field that share a fault: how many, the first, and the box around all."""

import dataclasses
from collections.abc import Iterable

import numpy as np


@dataclasses.dataclass(frozen=True)
class Patch:
    """Points of a field (time, level, lat, lon), counted by their indices.

    Args:
        count: how many.
        first: index of the first, in the order of time, level, latitude, longitude.
        low: smallest index along each axis.
        high: largest index along each axis.
        levels: indices of the levels that have some.
    """

    count: int
    first: tuple[int, ...]
    low: tuple[int, ...]
    high: tuple[int, ...]
    levels: frozenset[int]

    @classmethod
    def of(cls, mask: np.ndarray, corner: tuple[int, ...]) -> "Patch | None":
        """Returns the points where a mask (time, level, lat, lon) is true; None without any.

        Args:
            mask: of a block of the field.
            corner: index of its first point in the field.
        """
        if not mask.any():
            return None

        def in_field(point: Iterable[np.integer]) -> tuple[int, ...]:
            return tuple(int(i + c) for i, c in zip(point, corner, strict=True))

        axes = [np.flatnonzero(mask.any(axis=_others(axis))) for axis in range(4)]
        return cls(
            count=int(mask.sum()),
            first=in_field(np.unravel_index(np.argmax(mask), mask.shape)),
            low=in_field(where[0] for where in axes),
            high=in_field(where[-1] for where in axes),
            levels=frozenset(int(v) + corner[1] for v in axes[1]),
        )

    def merged(self, other: "Patch | None") -> "Patch":
        """Returns the points of both, which have none in common."""
        if other is None:
            return self
        return Patch(
            self.count + other.count,
            min(self.first, other.first),
            tuple(map(min, self.low, other.low)),
            tuple(map(max, self.high, other.high)),
            self.levels | other.levels,
        )


def _others(axis: int) -> tuple[int, ...]:
    return tuple(a for a in range(4) if a != axis)


def merge(patches) -> Patch | None:
    """Returns the points of all patches; None where there are none (None among them is allowed)."""
    found = None
    for patch in patches:
        found = found.merged(patch) if found else patch
    return found
