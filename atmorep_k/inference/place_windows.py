"""The windows that see some places, and values between the points of a grid."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import xarray as xr

from atmorep_k.data.stores.base import Store
from atmorep_k.earth.places import Place
from atmorep_k.errors import UserError
from atmorep_k.fields import Position
from atmorep_k.inference.frame import Frame
from atmorep_k.inference.tiling import check_fit


@dataclasses.dataclass(frozen=True)
class PlaceWindows:
    """One window for each place, which has it as near to its middle as the grid allows.

    On a canvas they lie side by side, from west to east: it takes the place of a `Tiling`.

    Args:
        places: the places.
        corners: `(place, 2)` row and column in the store at which each window starts.
        offsets: `(place, 2)` where the place lies in its window, in points.
        size: points of a window in (lat, lon).
        num_columns: longitudes of the store.
    """

    places: Sequence[Place]
    corners: np.ndarray
    offsets: np.ndarray
    size: tuple[int, int]
    num_columns: int

    def __len__(self):
        return len(self.places)

    @property
    def shape(self) -> tuple[int, int]:
        """Points of the canvas in (lat, lon)."""
        return self.size[0], len(self) * self.size[1]

    def tiles(self, time: int) -> list[Position]:
        """Returns the corners of all windows from one time on."""
        return [Position(time, int(row), int(column)) for row, column in self.corners]

    def place(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns where the points of window `number` lie on the canvas: rows, columns."""
        height, width = self.size
        return np.arange(height), number * width + np.arange(width)

    def weight(self, number: int, blend: bool) -> np.ndarray:
        """Returns the weight (lat, lon) of its points: no two windows share one."""
        return np.ones(self.size)

    def coordinates(self, store: Store) -> tuple[np.ndarray, np.ndarray]:
        """Returns latitudes and longitudes of the places."""
        latitude = np.array([place.latitude for place in self.places])
        return latitude, np.array([place.longitude for place in self.places])

    @functools.cached_property
    def _low(self) -> np.ndarray:
        return np.clip(np.floor(self.offsets).astype(int), 0, np.array(self.size) - 2)

    @functools.cached_property
    def weights(self) -> np.ndarray:
        """Bilinear weights `(corner, place)` of the four points around each place."""
        north, west = (1 - (self.offsets - self._low)).T
        return np.stack([north * west, north * (1 - west), (1 - north) * west,
                         (1 - north) * (1 - west)])  # fmt: skip

    def _around(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns rows and columns `(corner, place)` of these points in their windows."""
        rows, columns = self._low.T
        return np.stack([rows, rows, rows + 1, rows + 1]), np.stack([columns, columns + 1] * 2)

    def in_store(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns rows and columns `(corner, place)` of these points in the store."""
        rows, columns = self._around()
        return rows + self.corners[:, 0], (columns + self.corners[:, 1]) % self.num_columns

    def at_places(self, values: np.ndarray) -> np.ndarray:
        """Interpolates what is on a canvas, (..., lat, lon), to (..., place)."""
        windows = values.reshape(*values.shape[:-1], len(self), self.size[1])
        rows, columns = self._around()
        windows_around = windows[..., rows, np.arange(len(self)), columns]
        return (windows_around * self.weights).sum(axis=-2).astype(values.dtype)


@dataclasses.dataclass(frozen=True)
class PlaceFrame(Frame):
    """A `Frame` whose windows are `PlaceWindows`: values are those at the places between points."""

    points: ClassVar[tuple[str, ...]] = ("place",)

    tiling: PlaceWindows

    def _values(self, field, values: np.ndarray, members: bool) -> dict[str, xr.Variable]:
        return super()._values(field, self.tiling.at_places(values), members)

    def _horizontal(self) -> dict[str, tuple]:
        words = {
            "latitude": {"standard_name": "latitude", "units": "degrees_north"},
            "longitude": {"standard_name": "longitude", "units": "degrees_east"},
        }
        return {
            "place": ("place", [p.name for p in self.tiling.places], {"long_name": "place"}),
            **{n: ("place", v, words[n]) for n, v in zip(words, self.grid(), strict=True)},
        }


def windows_around(store: Store, field, places: Sequence[Place]) -> PlaceWindows:
    """Returns a window of a field for each place.

    Args:
        store: whose grid it has.
        field: the `FieldSpec`.
        places: the places.

    Raises:
        UserError: if a place lies outside the store, or a window does not fit.
    """
    size, grid = field.window.shape[1:], (len(store.latitude), len(store.longitude))
    check_fit(size, grid, grid, None)
    index = np.stack([_row(store, places), _column(store, places)], axis=1)
    for number in np.flatnonzero(np.isnan(index).any(axis=1)):
        raise _outside(store, places[int(number)])
    corners = np.round(index - (np.array(size) - 1) / 2).astype(int)
    most = np.array(grid) - size
    kept = np.clip(corners, 0, most)
    if store.is_global:
        kept[:, 1] = corners[:, 1] % grid[1]
    offsets = index - kept
    offsets[:, 1] %= grid[1]
    return PlaceWindows(places, kept, offsets, size, grid[1])


def _row(store: Store, places: Sequence[Place]) -> np.ndarray:
    """Returns fractions of rows; NaN further than one row from the grid."""
    north, south = store.latitude[0], store.latitude[-1]
    step = abs(north - south) / (len(store.latitude) - 1)
    latitude = np.array([place.latitude for place in places])
    row = np.interp(-latitude, -store.latitude, np.arange(len(store.latitude)))
    return np.where((latitude <= north + step) & (latitude >= south - step), row, np.nan)


def _column(store: Store, places: Sequence[Place]) -> np.ndarray:
    """Returns fractions of columns; NaN further than half a column from a grid that is open."""
    number = len(store.longitude)
    eastward = store.longitude - store.longitude[0]
    step = eastward[-1] / (number - 1)
    degrees = (np.array([p.longitude for p in places]) - store.longitude[0]) % 360
    if store.is_global:
        return np.interp(degrees, np.append(eastward, 360), np.arange(number + 1)) % number
    degrees = np.where(degrees > 360 - step / 2, 0, degrees)
    inside = degrees <= eastward[-1] + step / 2
    return np.where(inside, np.interp(degrees, eastward, np.arange(number)), np.nan)


def _outside(store: Store, place: Place) -> UserError:
    latitude, longitude = store.latitude, store.longitude
    return UserError(
        f"the place {place.name!r} ({place.latitude:g}, {place.longitude:g}) lies outside "
        f"{store.path}, which has latitudes {latitude[-1]:g} to {latitude[0]:g} and longitudes "
        f"{longitude[0]:g} to {longitude[-1]:g}."
    )
