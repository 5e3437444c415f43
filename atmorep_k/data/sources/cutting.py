"""Pieces of sources cut to a region and to a period."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from atmorep_k.data.sources.pieces import Piece
from atmorep_k.earth import places
from atmorep_k.errors import UserError


def crop(pieces: Sequence[Piece], region: Sequence[float]) -> list[Piece]:
    """Cuts pieces to a region.

    Args:
        pieces: what to cut.
        region: (south, north, west, east) in degrees, both ends included; west may be greater
            than east, across 0 or 180 degrees.

    Raises:
        UserError: if the region is invalid, reaches beyond a grid or contains no grid point.
    """
    return [_crop(piece, region) for piece in pieces]


def _crop(piece: Piece, region: Sequence[float]) -> Piece:
    in_rows, in_columns, eastward = places.inside(piece.latitude, piece.longitude, region)
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
            f"is outside its grid or between its points: latitudes {piece.latitude[-1]:g} "
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


def cut_to_period(pieces: Sequence[Piece], period: Sequence[str]) -> list[Piece]:
    """Cuts pieces to a period; those without a time in it are left out.

    Args:
        pieces: what to cut.
        period: first and last day, month, year or time, both included: `("2019", "2020-06")` is
            January 2019 to June 2020.

    Raises:
        UserError: if the period is invalid, or a variable has no times in it.
    """
    first, end = limits(period)
    cut = [c for piece in pieces if (c := _cut(piece, first, end)) is not None]
    for name in dict.fromkeys(p.name for p in pieces):
        if name not in {p.name for p in cut}:
            times = [t for p in pieces if p.name == name for t in p.time[[0, -1]]]
            raise UserError(
                f"{name!r} has no times from {period[0]} to {period[1]}; its record covers "
                f"{min(times)} to {max(times)}."
            )
    return cut


def limits(period: Sequence[str]) -> tuple[np.datetime64, np.datetime64]:
    """Returns the first time of a period and the one after its last.

    Raises:
        UserError: if the period is invalid.
    """
    try:
        first, last = (np.datetime64(text) for text in period)
        ends = first.astype("datetime64[s]"), (last + 1).astype("datetime64[s]")
    except (ValueError, TypeError) as error:
        raise _no_period(period) from error
    if np.isnat(first) or np.isnat(last) or not ends[0] < ends[1]:
        raise _no_period(period)
    return ends


def _no_period(period: Sequence[str]) -> UserError:
    return UserError(
        f"a period needs its first and last day, like 2019-01-01 2019-12-31, or months or years, "
        f"not {' '.join(map(str, period))!r}."
    )


def _cut(piece: Piece, first: np.datetime64, end: np.datetime64) -> Piece | None:
    start, stop = np.searchsorted(piece.time, [first, end])
    if start == stop:
        return None
    read = _Later(piece, int(start)) if start else piece.read
    return dataclasses.replace(piece, time=piece.time[start:stop], read=read)


class _Later:
    """Reads a piece from one of its steps on."""

    def __init__(self, piece: Piece, offset: int):
        self._piece, self._offset = piece, offset

    def __call__(self, start: int, stop: int, level_index: np.ndarray) -> np.ndarray:
        return self._piece.read(start + self._offset, stop + self._offset, level_index)
