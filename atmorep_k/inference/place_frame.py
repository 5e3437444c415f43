"""Predictions at places, labelled."""

import numpy as np
import xarray as xr

from atmorep_k.inference.frame import Frame


class PlaceFrame(Frame):
    """A `Frame` whose windows are `PlaceWindows`: values are those at the places between points."""

    points = ("place",)

    def _values(self, field, values: np.ndarray, members: bool) -> dict[str, xr.Variable]:
        return super()._values(field, self.tiling.at_places(values), members)

    def grid(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns latitudes and longitudes of the places."""
        places = self.tiling.places
        return np.array([p.latitude for p in places]), np.array([p.longitude for p in places])

    def _horizontal(self) -> dict[str, tuple]:
        words = {
            "latitude": {"standard_name": "latitude", "units": "degrees_north"},
            "longitude": {"standard_name": "longitude", "units": "degrees_east"},
        }
        return {
            "place": ("place", [p.name for p in self.tiling.places], {"long_name": "place"}),
            **{n: ("place", v, words[n]) for n, v in zip(words, self.grid(), strict=True)},
        }
