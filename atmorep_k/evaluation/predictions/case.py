"""One forecast beside the truth, at one time and lead time."""

import dataclasses

import numpy as np
import xarray as xr


@dataclasses.dataclass(frozen=True)
class Case:
    """One forecast beside the truth, at one time and lead time; values are 0 where none count.

    Args:
        forecast: ([number,] level, latitude, longitude) float64.
        truth: (level, latitude, longitude).
        climatology: likewise.
        counted: bool (level, lat, lon), which points count.
        weight: (level, region, lat, lon) what they count, 0 where they do not.
    """

    forecast: xr.DataArray
    truth: xr.DataArray
    climatology: xr.DataArray
    counted: np.ndarray
    weight: np.ndarray

    @property
    def number(self) -> int:
        """Members of an ensemble; 1 for a single forecast."""
        return self.forecast.sizes.get("number", 1)

    @property
    def members(self) -> np.ndarray:
        """(member, level, lat, lon) values; a single forecast is its one member."""
        values = self.forecast.values
        return values if "number" in self.forecast.dims else values[None]

    def total(self, values: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
        """Returns the weighted sums (level, region) of values (level, lat, lon)."""
        weight = self.weight if weight is None else weight
        return np.einsum("lryx,lyx->lr", weight, np.asarray(values, np.float64), optimize=True)
