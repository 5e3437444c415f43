"""Places and regions of the Earth that a user names."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from atmorep_k.errors import UserError

_COLUMNS = {
    "name": ("name", "place", "station"),
    "latitude": ("latitude", "lat"),
    "longitude": ("longitude", "lon"),
}


class Place(NamedTuple):
    """A place: degrees north and east."""

    name: str
    latitude: float
    longitude: float


def parse_places(given) -> list[Place]:
    """Returns places from pairs (latitude, longitude), a mapping of names to pairs, or a CSV file.

    The file has columns `latitude` and `longitude` (or `lat`, `lon`) and perhaps `name`. A place
    without a name is called by its coordinates.

    Raises:
        UserError: if no place is given, two share a name, or a file or number is invalid.
    """
    if isinstance(given, str | Path):
        places = _read(Path(given))
    elif isinstance(given, Mapping):
        places = [_place(name, *pair) for name, pair in given.items()]
    else:
        places = [place if isinstance(place, Place) else _place("", *place) for place in given]
    if not places:
        raise UserError("no place was given: name at least one by latitude and longitude.")
    names = [place.name for place in places]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UserError(f"two places are called {twice!r}: give each a name of its own.")
    return places


def _place(name, latitude, longitude) -> Place:
    try:
        north, east = float(latitude), float(longitude)
    except (TypeError, ValueError):
        north = east = float("nan")
    if not (-90 <= north <= 90 and -360 <= east <= 360):
        where = f"{name!r} " if name else ""
        raise UserError(
            f"invalid place {where}({latitude}, {longitude}): latitude must be -90 to 90 and "
            f"longitude -180 to 360, in degrees."
        )
    return Place(str(name) or f"{north:g}, {east:g}", north, east)


def _read(path: Path) -> list[Place]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file)
            columns = _columns(path, table.fieldnames or ())
            rows = [[row.get(columns[name]) or "" for name in _COLUMNS] for row in table]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"cannot read places from {path}: {reason}.") from error
    return [_place(*row) for row in rows]


def _columns(path: Path, titles: Iterable[str]) -> dict[str, str | None]:
    """Returns which column of a file has the names, which the latitudes, which the longitudes."""
    known = {title.strip().lower(): title for title in titles}
    found = {
        name: next((known[title] for title in accepted if title in known), None)
        for name, accepted in _COLUMNS.items()
    }
    for name in ("latitude", "longitude"):
        if found[name] is None:
            raise UserError(
                f"{path} has no column {name!r} (or {_COLUMNS[name][1]!r}); its columns are "
                f"{', '.join(titles) or 'none'}."
            )
    return found


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
        UserError: if the region is invalid.
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
