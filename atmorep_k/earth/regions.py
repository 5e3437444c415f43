"""Which points of a grid lie in a region."""

from collections.abc import Sequence

import numpy as np

from atmorep_k.errors import UserError

_TOLERANCE = 1e-6


def inside(
    latitude: np.ndarray, longitude: np.ndarray, region: Sequence[float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns rows (lat,) and columns (lon,) of a region, bool, and degrees from its west (lon,).

    Args:
        latitude: `(lat,)` degrees.
        longitude: `(lon,)` degrees.
        region: (south, north, west, east) in degrees; it may cross 0 or 180 degrees.

    Raises:
        UserError: where the region is none.
    """
    if len(region) != 4 or not -90 <= region[0] < region[1] <= 90 or region[2] == region[3]:
        raise UserError(
            f"a region needs (south, north, west, east) in degrees with -90 <= south < north <= 90 "
            f"and west different from east, not {tuple(region)}."
        )
    south, north, west, east = region
    rows = (latitude >= south - _TOLERANCE) & (latitude <= north + _TOLERANCE)
    width = 360.0 if abs(east - west) >= 360 else (east - west) % 360
    eastward = (longitude - west + _TOLERANCE) % 360
    return rows, eastward <= width + 2 * _TOLERANCE, eastward
