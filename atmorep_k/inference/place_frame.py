"""Predictions at places, labelled."""

import numpy as np
import xarray as xr

from atmorep_k.inference.frame import Frame


class PlaceFrame(Frame):
    """A `Frame` whose windows are `PlaceWindows`: values are those at the places between points."""

    dims = ("time", "prediction_timedelta", "number", "level", "place")

    def _values(self, field, values: np.ndarray, members: bool) -> dict[str, xr.Variable]:
        return super()._values(field, self.tiling.at_places(values), members)

    def _horizontal(self) -> dict[str, tuple]:
        places = self.tiling.places
        words = {
            "latitude": {"standard_name": "latitude", "units": "degrees_north"},
            "longitude": {"standard_name": "longitude", "units": "degrees_east"},
        }
        return {
            "place": ("place", [place.name for place in places], {"long_name": "place"}),
            **{n: ("place", [getattr(p, n) for p in places], words[n]) for n in words},
        }
