"""One field of a held-out window: the truth where tokens are hidden, and what baselines say."""

import dataclasses
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class HeldOutWindow:
    """One field of a held-out window, in physical units.

    Args:
        hidden: bool (level, time, lat, lon), the points that count.
        target: true values (level, time, lat, lon).
        baselines: name -> values (level, time, lat, lon).
        normalizer: of the field.
        place: times, rows and columns of the window in the store.
    """

    hidden: np.ndarray
    target: np.ndarray
    baselines: dict[str, np.ndarray]
    normalizer: Any
    place: tuple

    @property
    def scale(self) -> np.ndarray:
        """The standard deviation that normalises the field, broadcastable to the target."""
        return self.normalizer.scale(*self.place)[1]

    def physical(self, members: np.ndarray) -> np.ndarray:
        """Returns normalised members (member, level, time, lat, lon) in physical units."""
        return self.normalizer.denormalize(members, *self.place)
