"""The windows that cover a grid or a region, and the weights that blend what they predict."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from atmorep_k.data.stores.base import Store
from atmorep_k.earth.places import inside
from atmorep_k.errors import UserError
from atmorep_k.fields import Position


class Cover(Protocol):
    """The windows of a prediction, and where each of them lies on a canvas."""

    def __len__(self) -> int:
        """Return the number of windows."""

    @property
    def shape(self) -> tuple[int, int]:
        """Points of the canvas in (lat, lon)."""

    def tiles(self, time: int) -> list[Position]:
        """Return the corners of all windows from one time on."""

    def place(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows and columns of the canvas that window `number` covers."""

    def weight(self, number: int, blend: bool) -> np.ndarray:
        """Return the weight (lat, lon) of the points of window `number`."""

    def coordinates(self, store: Store) -> tuple[np.ndarray, np.ndarray]:
        """Return the latitudes and longitudes of what is written, longitudes without a jump."""


@dataclasses.dataclass(frozen=True)
class Axis:
    """The windows along one axis of a grid.

    Args:
        points: `(point,)` indices into the store's axis of all points that are covered, in order.
        starts: `(window,)` where each window starts, counted along `points`.
        size: points of a window.
        closed: whether the last point is followed by the first.
    """

    points: np.ndarray
    starts: np.ndarray
    size: int
    closed: bool

    @property
    def corners(self) -> np.ndarray:
        """The index in the store at which each window starts."""
        return self.points[self.starts]

    def places(self, window: int) -> np.ndarray:
        """Returns `(size,)` where the points of a window lie among `points`."""
        return (self.starts[window] + np.arange(self.size)) % len(self.points)

    @functools.cached_property
    def blend(self) -> np.ndarray:
        """Weights `(window, size)` that go smoothly from one window to the next.

        A raised cosine over the points that neighbours share. At each point the weights of all
        windows sum to one.
        """
        weights = np.ones((len(self.starts), self.size))
        for window, shared in enumerate(self._shared()):
            rise = np.sin(np.pi / 2 * (np.arange(shared) + 0.5) / max(shared, 1)) ** 2
            weights[window - 1, self.size - shared :] *= rise[::-1]
            weights[window, :shared] *= rise
        total = np.zeros(len(self.points))
        for window in range(len(self.starts)):
            total[self.places(window)] += weights[window]
        return weights / np.stack([total[self.places(w)] for w in range(len(self.starts))])

    @functools.cached_property
    def owner(self) -> np.ndarray:
        """Weights `(window, size)` of 0 and 1: each point belongs to the first window it is in."""
        weights = np.zeros((len(self.starts), self.size))
        free = np.ones(len(self.points), bool)
        for window in range(len(self.starts)):
            places = self.places(window)
            weights[window] = free[places]
            free[places] = False
        return weights

    def _shared(self) -> list[int]:
        """Returns how many points each window shares with the one before it."""
        before = np.roll(self.starts, 1)
        if self.closed:
            # A lone window is its own neighbour, once round the globe.
            ahead = (self.starts - before - 1) % len(self.points) + 1
        else:
            ahead = np.concatenate([[self.size], (self.starts - before)[1:]])
        return np.maximum(self.size - ahead, 0).tolist()


@dataclasses.dataclass(frozen=True)
class Tiling:
    """The windows that cover a grid: all pairs of one along latitude and one along longitude.

    Args:
        rows: the windows along latitude, from north to south.
        columns: the windows along longitude, from west to east.
    """

    rows: Axis
    columns: Axis

    def __len__(self):
        return len(self.rows.starts) * len(self.columns.starts)

    @property
    def shape(self) -> tuple[int, int]:
        """Points that are covered, in (lat, lon)."""
        return len(self.rows.points), len(self.columns.points)

    def tiles(self, time: int) -> list[Position]:
        """Returns the corners of all windows from one time on, row by row from the north."""
        return [
            Position(time, int(row), int(column))
            for row in self.rows.corners
            for column in self.columns.corners
        ]

    def place(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns where the points of tile `number` lie in the covered grid: rows, columns."""
        row, column = divmod(number, len(self.columns.starts))
        return self.rows.places(row), self.columns.places(column)

    def weight(self, number: int, blend: bool) -> np.ndarray:
        """Returns the weight (lat, lon) of the points of tile `number`.

        Args:
            number: the tile.
            blend: smooth weights; else each point counts in one tile only.
        """
        row, column = divmod(number, len(self.columns.starts))
        kind = "blend" if blend else "owner"
        return np.outer(getattr(self.rows, kind)[row], getattr(self.columns, kind)[column])

    def coordinates(self, store: Store) -> tuple[np.ndarray, np.ndarray]:
        """Returns latitudes and longitudes of the covered grid, longitudes without a jump."""
        return (
            store.latitude[self.rows.points],
            without_jump(store.longitude[self.columns.points]),
        )


def tile(
    latitude: np.ndarray,
    longitude: np.ndarray,
    is_global: bool,
    size: tuple[int, int],
    overlap: tuple[int, int] = (0, 0),
    region: Sequence[float] | None = None,
    unit: str = "points",
) -> Tiling:
    """Returns the windows that cover a grid or a region of it.

    Rows follow each other from the north by the size less the overlap, the last one flush with the
    southern edge. Columns go round the globe in the same way, beginning half the overlap west of
    the first longitude; where they do not close, the last one is flush with the eastern edge. That
    is the tiling of the original AtmoRep.

    Args:
        latitude: `(lat,)` degrees, descending.
        longitude: `(lon,)` degrees, ascending.
        is_global: whether the last longitude is followed by the first.
        size: points of a window in (lat, lon).
        overlap: points that neighbours share in (lat, lon), at most half a window.
        region: (south, north, west, east) in degrees; None for the whole grid. West may be
            greater than east.
        unit: what the points are called in a message.

    Raises:
        UserError: if a window does not fit, or the overlap is out of range.
    """
    for name, points, whole in zip(("lat", "lon"), overlap, size, strict=True):
        if not 0 <= points <= whole // 2:
            raise UserError(
                f"the overlap in {name} must be 0 to {whole // 2} points, half a window, "
                f"not {points}."
            )
    rows, columns = np.arange(len(latitude)), np.arange(len(longitude))
    closed = is_global
    if region is not None:
        rows, columns, closed = _inside(latitude, longitude, is_global, region)
    check_fit(size, (len(rows), len(columns)), (len(latitude), len(longitude)), region, unit)
    along = _open_starts(len(rows), size[0], overlap[0])
    across = (_closed_starts if closed else _open_starts)(len(columns), size[1], overlap[1])
    return Tiling(Axis(rows, along, size[0], False), Axis(columns, across, size[1], closed))


def without_jump(longitude: np.ndarray) -> np.ndarray:
    """Returns longitudes that ascend also where they cross the end of a store's axis."""
    if np.any(np.diff(longitude) < 0):
        return np.where(longitude >= longitude[0], longitude - 360, longitude)
    return longitude


def _inside(latitude, longitude, is_global: bool, region) -> tuple[np.ndarray, np.ndarray, bool]:
    """Returns the rows and columns of a region, from west to east, and whether they close."""
    rows, columns, eastward = inside(latitude, longitude, region)
    if _is_outside(latitude, longitude, is_global, region, rows, columns):
        raise UserError(
            f"the region {tuple(region)} (south, north, west, east) lies outside the store, which "
            f"has latitudes {latitude.min():g} to {latitude.max():g} and longitudes "
            f"{longitude[0]:g} to {longitude[-1]:g}."
        )
    columns = np.flatnonzero(columns)
    closed = is_global and len(columns) == len(longitude)
    if not closed:
        columns = columns[np.argsort(eastward[columns], kind="stable")]
    if not is_global and np.any(np.diff(columns) != 1):
        raise UserError(
            f"the region {tuple(region)} (south, north, west, east) reaches beyond the store, "
            f"whose longitudes are {longitude[0]:g} to {longitude[-1]:g}."
        )
    return np.flatnonzero(rows), columns, closed


def _is_outside(latitude, longitude, is_global: bool, region, rows, columns) -> bool:
    """Returns whether a region has no part of a grid; without points it may lie between two."""
    south, north, west, _ = region
    if not rows.any():
        return south > latitude.max() or north < latitude.min()
    beyond = (west - longitude[0]) % 360 > (longitude[-1] - longitude[0]) % 360
    return not is_global and not columns.any() and beyond


def check_fit(size, points, grid, region, unit: str = "points") -> None:
    """Raises a `UserError` where a window has more points than a grid, or a region of it."""
    if size[0] > points[0] or size[1] > points[1]:
        where = f"the store's grid of {grid[0]} x {grid[1]}"
        if region is not None:
            where = (
                f"the region {tuple(region)} (south, north, west, east), which holds {points[0]} "
                f"x {points[1]} {unit} of the store"
            )
        raise UserError(
            f"a window of {size[0]} x {size[1]} {unit} (lat, lon) does not fit {where}."
        )


def _open_starts(length: int, size: int, overlap: int) -> np.ndarray:
    last = length - size
    starts = list(range(0, last, size - overlap))
    # One point from the edge is as good as at the edge, where its neighbours share points.
    if len(starts) > 1 and overlap and starts[-1] == last - 1:
        starts.pop()
    return np.array([*starts, last])


def _closed_starts(length: int, size: int, overlap: int) -> np.ndarray:
    return (np.arange(0, length, size - overlap) - overlap // 2) % length
