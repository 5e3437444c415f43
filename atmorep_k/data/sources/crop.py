"""Pieces cut to a region, reading no more of their sources than these allow."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from atmorep_k.data.sources.pieces import Piece
from atmorep_k.earth import regions
from atmorep_k.errors import UserError


def crop(pieces: Sequence[Piece], region: Sequence[float]) -> list[Piece]:
    """Cuts pieces to a region.

    Args:
        pieces: what to cut.
        region: (south, north, west, east) in degrees, both ends included; west may be greater
            than east, across 0 or 180 degrees.

    Raises:
        UserError: where the region is none, reaches beyond a grid or has no point of it.
    """
    return [_crop(piece, region) for piece in pieces]


def _crop(piece: Piece, region: Sequence[float]) -> Piece:
    in_rows, in_columns, eastward = regions.inside(piece.latitude, piece.longitude, region)
    rows, columns = np.flatnonzero(in_rows), np.flatnonzero(in_columns)
    _check_inside(piece, region, rows, columns)
    longitude = piece.longitude
    if len(columns) < len(longitude):
        columns = columns[np.argsort(eastward[columns])]
        longitude = _unbroken(longitude[columns])
    reader = getattr(piece.read, "crop", None)
    read = reader(rows, columns) if reader else _Cut(piece, rows, columns)
    latitude = piece.latitude[rows]
    return dataclasses.replace(piece, latitude=latitude, longitude=longitude, read=read)


def _unbroken(longitude: np.ndarray) -> np.ndarray:
    """Returns longitudes of neighbours ascending, from a start between -180 and 180."""
    start = longitude[0] - 360.0 * (longitude[0] >= 180.0)
    return np.round(start + (longitude - longitude[0]) % 360.0, 8)


def _check_inside(
    piece: Piece, region: Sequence[float], rows: np.ndarray, columns: np.ndarray
) -> None:
    """Refuses regions of which a part is not in the grid, up to a step beyond its last points."""
    south, north, west, east = region
    row, column = _step(piece.latitude), _step(piece.longitude)
    first, last = piece.longitude[[0, -1]]
    width = 360.0 if abs(east - west) >= 360 else (east - west) % 360
    start = (west - first + column) % 360 - column
    fits = (
        south > piece.latitude[-1] - row
        and north < piece.latitude[0] + row
        and (last - first + 1.5 * column >= 360 or start + width < last - first + column)
    )
    if not fits or not len(rows) or not len(columns):
        raise UserError(
            f"{piece.source}: the region {south:g} to {north:g} north, {west:g} to {east:g} east "
            f"does not lie in its grid, or between its points: latitudes {piece.latitude[-1]:g} "
            f"to {piece.latitude[0]:g}, longitudes {first:g} to {last:g}."
        )


def _step(values: np.ndarray) -> float:
    return float(np.abs(np.diff(values)).max()) if len(values) > 1 else 1.0


class _Cut:
    """Reads the whole grid, some steps at a time, and keeps rows and columns of it.

    Args:
        piece: what to read from; as many of its steps at a time as it stores together.
        rows: rows to keep, in their order.
        columns: columns to keep, in their order.
    """

    def __init__(self, piece: Piece, rows: np.ndarray, columns: np.ndarray):
        self._piece, self._rows, self._columns = piece, rows, columns

    def __call__(self, start: int, stop: int, level_index: np.ndarray) -> np.ndarray:
        shape = (stop - start, len(level_index), len(self._rows), len(self._columns))
        values = np.empty(shape, np.float32)
        together = self._piece.time_chunk
        first = start
        while first < stop:
            last = min(first - first % together + together, stop)
            whole = self._piece.read(first, last, level_index)
            values[first - start : last - start] = whole[:, :, self._rows][..., self._columns]
            first = last
        return values
