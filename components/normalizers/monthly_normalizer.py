"""Normalisation by the statistics of the calendar month."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from atmorep_k.registry import Component, component

# A spread below the resolution of float32 beside the mean is rounding, not weather.
SMALLEST_SPREAD = 1e-6


@component("normalizer")
class MonthlyNormalizer(Component):
    """Scales values by mean and standard deviation of their calendar month: (x - mean) / std.

    The statistics are those of a store (see `atmorep_k.data.store`): one pair per month and level
    (`"global"`), or one per month, level and grid point (`"grid_point"`, the original's "local").
    They are no configuration: `fit` takes them from a store, `state` and `load_state` carry them
    with a saved model.

    Shapes:
        mean, std: (month, level) or (month, level, latitude, longitude) float32
    """

    def __init__(self):
        self.mean: np.ndarray | None = None
        self.std: np.ndarray | None = None
        self.latitude: np.ndarray | None = None
        self.longitude: np.ndarray | None = None

    @property
    def is_fitted(self) -> bool:
        """Whether there are statistics to normalise with."""
        return self.mean is not None

    @property
    def scope(self) -> Literal["global", "grid_point"]:
        """What the statistics are of: the whole field, or each grid point."""
        return "global" if self.mean.ndim == 2 else "grid_point"

    def fit(
        self,
        statistics: dict[str, np.ndarray],
        level_index: Sequence[int],
        scope: Literal["global", "grid_point"],
        latitude: np.ndarray,
        longitude: np.ndarray,
    ) -> None:
        """Takes the statistics of some levels of a variable.

        Args:
            statistics: `mean`, `std` (12, level) and `mean_grid`, `std_grid` (12, level, lat, lon).
            level_index: which levels, as indices into the level axis.
            scope: which of the two pairs.
            latitude: latitudes of the grid.
            longitude: longitudes of the grid.
        """
        levels = np.asarray(level_index)
        mean, std = (np.asarray(statistics[k])[:, levels] for k in ("mean", "std"))
        if scope == "grid_point":
            of_level = std[:, :, None, None]
            mean, std = (np.asarray(statistics[f"{k}_grid"])[:, levels] for k in ("mean", "std"))
            std = np.where(std > SMALLEST_SPREAD * np.abs(mean), std, of_level)
        self.load_state({"mean": mean, "std": std, "latitude": latitude, "longitude": longitude})

    def scale(
        self, months: np.ndarray, rows: np.ndarray, columns: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns mean and std that broadcast to (level, time, lat, lon), float32.

        Args:
            months: `(time,)` calendar month of each time step, 1 to 12.
            rows: `(lat,)` indices of latitudes of the grid.
            columns: `(lon,)` indices of longitudes of the grid.

        Raises:
            ValueError: where there are no statistics, or a month is not 1 to 12.
        """
        months = np.asarray(months)
        if not self.is_fitted:
            raise ValueError("the normaliser has no statistics: fit it, or load a saved state.")
        if months.min() < 1 or months.max() > 12:
            raise ValueError(f"months are numbered 1 to 12, not {months.min()} to {months.max()}.")
        return tuple(self._of_window(a, months - 1, rows, columns) for a in (self.mean, self.std))

    def _of_window(self, values, months, rows, columns) -> np.ndarray:
        if values.ndim == 2:
            return values[months].T[:, :, None, None]
        # A window touches two months at most: crop each once, then repeat it in time.
        touched, at = np.unique(months, return_inverse=True)
        crops = values[np.ix_(touched, np.arange(values.shape[1]), rows, columns)]
        return np.swapaxes(crops, 0, 1)[:, at] if len(touched) > 1 else np.swapaxes(crops, 0, 1)

    def normalize(
        self,
        cube: np.ndarray,
        months: np.ndarray,
        rows: np.ndarray,
        columns: np.ndarray,
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        """Returns (x - mean) / std, float32, of physical values (level, time, lat, lon).

        `months`, `rows` and `columns` as in `scale`; `out` takes the result where it is given.
        """
        mean, std = self.scale(months, rows, columns)
        if out is None:
            out = np.empty(cube.shape, np.float32)
        np.subtract(cube, mean, out=out, dtype=np.float32)
        return np.divide(out, std, out=out)

    def denormalize(
        self, values: np.ndarray, months: np.ndarray, rows: np.ndarray, columns: np.ndarray
    ) -> np.ndarray:
        """Returns x std + mean, float32, of normalised values (..., level, time, lat, lon)."""
        mean, std = self.scale(months, rows, columns)
        return np.asarray(values, np.float32) * std + mean

    def state(self) -> dict[str, np.ndarray]:
        """Returns the statistics and their grid; empty where there are none."""
        if not self.is_fitted:
            return {}
        return {k: getattr(self, k) for k in ("mean", "std", "latitude", "longitude")}

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """Takes up statistics that `state` returned."""
        self.mean, self.std = (np.asarray(state[k], np.float32) for k in ("mean", "std"))
        self.latitude = np.asarray(state["latitude"], np.float64)
        self.longitude = np.asarray(state["longitude"], np.float64)
