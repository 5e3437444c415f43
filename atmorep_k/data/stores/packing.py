"""Values kept as 16-bit integers with a scale and an offset for each level."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from atmorep_k.errors import UserError

MISSING = -32768
_LARGEST = 32767
# Room left on either side of the values found, as a share of their range, for months to come.
_HEAD_ROOM = 0.25


@dataclasses.dataclass(frozen=True)
class Packing:
    """How integers stand for values: value = scale * integer + offset, one pair for each level.

    The integers run from -32767 to 32767; -32768 stands for a missing value. CF knows only one
    pair for a whole variable, which would waste most of the digits where levels differ much.

    Args:
        scale: `(level,)` float64, above 0.
        offset: `(level,)` float64.
    """

    scale: np.ndarray
    offset: np.ndarray

    def __post_init__(self):
        for name in ("scale", "offset"):
            object.__setattr__(self, name, np.atleast_1d(np.asarray(getattr(self, name), float)))

    @classmethod
    def of_range(cls, low: np.ndarray, high: np.ndarray) -> "Packing":
        """Returns the packing for values between `low` and `high`, `(level,)`, and somewhat beyond.

        A quarter of the range is left on either side. Zero, where it lies inside, is exact, so
        that hours without rain stay so; a level that never changes is exact, too.
        """
        low, high = (np.asarray(a, np.float64) for a in (low, high))
        middle = (low + high) / 2
        scale = (high - low) * (1 + 2 * _HEAD_ROOM) / (2 * _LARGEST - 2)
        scale = np.where(scale > 0, scale, 1.0)
        offset = np.where((low <= 0) & (high >= 0), np.round(middle / scale) * scale, middle)
        return cls(scale, offset)

    @classmethod
    def of(cls, attributes: Mapping[str, Any]) -> "Packing | None":
        """Returns the packing in the attributes of an array; None if it is not packed."""
        if "packing_scale" not in attributes:
            return None
        return cls(attributes["packing_scale"], attributes["packing_offset"])

    def attributes(self) -> dict[str, Any]:
        """Returns the attributes of an array of such integers; with one level also CF's."""
        found = {"packing_scale": self.scale.tolist(), "packing_offset": self.offset.tolist()}
        if len(self.scale) == 1:
            found |= {"scale_factor": self.scale[0].item(), "add_offset": self.offset[0].item()}
        return found

    def pack(self, values: np.ndarray) -> np.ndarray:
        """Returns values (time, level, lat, lon) as int16, each the nearest integer's.

        Raises:
            UserError: if a value does not fit in 16 bits.
        """
        scale, offset = self._per_level()
        stored = np.empty(values.shape, np.int16)
        # Step by step, for 64 bits a value take more room than all else.
        for step, out in zip(values, stored, strict=True):
            counts = np.rint((step - offset) / scale)
            beyond = np.abs(counts).max(axis=(1, 2)) > _LARGEST
            if beyond.any():
                raise self._does_not_fit(int(np.argmax(beyond)), step)
            out[:] = counts
        return stored

    def _per_level(self) -> tuple[np.ndarray, np.ndarray]:
        return self.scale[:, None, None], self.offset[:, None, None]

    def _does_not_fit(self, level: int, step: np.ndarray) -> UserError:
        reach, middle = self.scale[level] * _LARGEST, self.offset[level]
        return UserError(
            f"values from {step[level].min():g} to {step[level].max():g} do not fit the 16 bits of "
            f"the store, which reach from {middle - reach:g} to {middle + reach:g} at its level "
            f"number {level + 1}; prepare a new store of all the data, or one without packing."
        )

    def unpack(self, stored: np.ndarray) -> np.ndarray:
        """Returns the values (time, level, lat, lon) of integers, float32; NaN where missing."""
        scale, offset = self._per_level()
        values = np.empty(stored.shape, np.float32)
        for step, out in zip(stored, values, strict=True):
            out[:] = step * scale + offset
            out[step == MISSING] = np.nan
        return values
