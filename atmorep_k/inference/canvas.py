"""Canvases on which predicted windows are blended, and mean and spread of their members."""

import numpy as np
import xarray as xr


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


def spread(members, axis: int = 0):
    """Returns the standard deviation of the members (ddof = 1); 0 of a single one."""
    number = members.shape[axis]
    return members.std(axis=axis, ddof=min(1, number - 1), dtype=np.float64)


def mean_and_spread(name: str, members: xr.Variable) -> dict[str, xr.Variable]:
    """Returns a variable `name`, the mean over `number`, and `<name>_spread`, labelled."""
    axis, title = members.get_axis_num("number"), members.attrs["long_name"]
    reduced = {
        "mean": members.values.mean(axis=axis, dtype=np.float64),
        "standard_deviation": spread(members.values, axis),
    }
    dims, found = [d for d in members.dims if d != "number"], {}
    for label, (method, values) in zip((name, f"{name}_spread"), reduced.items(), strict=True):
        words = f"{title}, {method.replace('_', ' ')} of the members"
        attributes = members.attrs | {"long_name": words, "cell_methods": f"number: {method}"}
        found[label] = xr.Variable(dims, values.astype(np.float32), attributes)
    return found
