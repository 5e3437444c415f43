"""A canvas on which predicted windows are blended."""

import numpy as np


class Canvas:
    """One field on the covered grid while windows are added to it, in float64.

    Args:
        field: the `FieldSpec`.
        steps: time steps of the window that are kept.
        number: members.
        shape: points of the covered grid (lat, lon).
    """

    def __init__(self, field, steps: np.ndarray, number: int, shape: tuple[int, int]):
        self.steps = steps
        levels = len(field.levels)
        self._sum = np.zeros((len(steps), number, levels, *shape))
        self._weight = np.zeros((len(steps), levels, *shape))

    def add(self, hidden, members, weight, rows, columns) -> None:
        """Adds the masked points of a window.

        Args:
            hidden: bool (level, time, lat, lon).
            members: physical values (member, level, time, lat, lon).
            weight: (lat, lon) of its points.
            rows: (lat,) where they lie on the canvas.
            columns: (lon,) likewise.
        """
        share = np.moveaxis(hidden[:, self.steps], 1, 0) * weight
        values = np.moveaxis(members[:, :, self.steps], 2, 0)
        place = (..., rows[:, None], columns)
        self._weight[place] += share
        self._sum[place] += values * share[:, None]

    @property
    def hidden(self) -> np.ndarray:
        """Where something was predicted, bool (lead, level, lat, lon)."""
        return self._weight > 0

    def members(self) -> np.ndarray:
        """Returns (lead, member, level, lat, lon) float32, NaN where nothing was predicted.

        The canvas is used up by that.
        """
        with np.errstate(invalid="ignore", divide="ignore"):
            np.divide(self._sum, self._weight[:, None], out=self._sum)
        return self._sum.astype(np.float32)
