"""GRIB files as pieces: one pass over the messages with ecCodes, which writes no index.

Every message is placed by variable, valid time and level, so that forecasts, analyses and
accumulations need no cases of their own; a message that is missing or cut is an error, not NaN.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from atmorep_k.data.sources.pieces import Piece, levels_of_variable
from atmorep_k.earth.axes import order_latitude, order_longitude, pick
from atmorep_k.earth.units import cf_units
from atmorep_k.errors import UserError, missing_extra

_LEVEL_TYPES = {"isobaricInhPa": "pressure", "isobaricInPa": "pressure", "hybrid": "model"}
_PADDING = b"\0\r\n\x03"
_MISSING = 1e30
_YEARS = (1700, 2250)
_GRIDS = ("regular_ll", "regular_gg")


@dataclasses.dataclass
class _Field:
    """One variable of a file: where its messages are, and what its first message says."""

    header: dict[str, Any]
    offsets: dict[tuple[np.datetime64, float], int] = dataclasses.field(default_factory=dict)


def grib_pieces(path: Path) -> tuple[list[Piece], dict[str, str]]:
    """Returns the variables of a GRIB file, and what was left out: name -> why.

    Raises:
        UserError: if ecCodes is not installed, the file is cut off, or messages are missing.
    """
    fields: dict[tuple, _Field] = {}
    for key, time, level, offset, header in _messages(path):
        field = fields.setdefault(key, _Field(header() if key not in fields else {}))
        if (time, level) in field.offsets:
            raise UserError(
                f"{path.name}: {key[0]!r} occurs twice for {time}"
                f"{f' at level {level:g}' if level else ''}; keep one of the messages."
            )
        field.offsets[time, level] = offset
    pieces: list[Piece] = []
    left_out: dict[str, str] = {}
    for key, field in fields.items():
        if reason := _why_not(key, fields):
            left_out[key[0]] = reason
        else:
            pieces.append(_piece(path, key, field))
    return pieces, left_out


def _eccodes():
    try:
        import eccodes
    except ImportError as error:
        raise missing_extra("ecCodes, which reads GRIB,", "grib") from error
    return eccodes


def _messages(path: Path) -> Iterator[tuple]:
    """Yields of each message: key of the variable, valid time, level, offset, header reader."""
    eccodes = _eccodes()
    end = 0
    with path.open("rb") as file:
        while True:
            try:
                handle = eccodes.codes_grib_new_from_file(file, headers_only=False)
            except eccodes.CodesInternalError as error:
                raise _cut_off(path, end) from error
            if handle is None:
                break
            try:
                get = _getter(eccodes, handle)
                offset = int(get("offset"))
                end = offset + int(get("totalLength"))
                yield (*_place(get), offset, lambda h=handle: _header(eccodes, h))
            finally:
                eccodes.codes_release(handle)
        file.seek(end)
        if file.read().strip(_PADDING):
            raise _cut_off(path, end)


def _cut_off(path: Path, end: int) -> UserError:
    return UserError(
        f"{path.name} is damaged or truncated: no whole GRIB message after byte {end} of "
        f"{path.stat().st_size}; download the file again."
    )


def _getter(eccodes, handle):
    def get(key: str, default=None):
        try:
            return eccodes.codes_get(handle, key)
        except eccodes.KeyValueNotFoundError:
            return default

    return get


def _place(get) -> tuple[tuple, np.datetime64, float]:
    """Returns the key of a message's variable, its valid time and its level."""
    kind, level = get("typeOfLevel", "surface"), float(get("level", 0))
    date, hour = int(get("validityDate")), int(get("validityTime"))
    day = f"{date // 10000:04d}-{date // 100 % 100:02d}-{date % 100:02d}"
    time = np.datetime64(f"{day}T{hour // 100:02d}:{hour % 100:02d}", "s")
    if kind == "isobaricInPa":
        kind, level = "isobaricInhPa", level / 100
    fixed = None if kind in _LEVEL_TYPES else level
    key = (_name(get), kind, fixed, get("number", 0), get("md5GridSection"))
    return key, time, 0.0 if fixed is not None else level


def _name(get) -> str:
    name = get("shortName")
    return f"param{get('paramId')}" if name in (None, "unknown", "~") else name


def _header(eccodes, handle) -> dict[str, Any]:
    get = _getter(eccodes, handle)
    names = ("name", "units", "cfName", "gridType", "Ni", "Nj", "class", "centre")
    values = {name: get(name) for name in names}
    flags = ("iScansNegatively", "jScansPositively", "jPointsAreConsecutive")
    values.update({name: int(get(name, 0)) for name in flags})
    values["centreDescription"] = get("centreDescription", "")
    if values["gridType"] in _GRIDS:
        values["latitude"] = _latitudes(eccodes, handle, values)
        values["longitude"] = _longitudes(get, values)
    return values


def _latitudes(eccodes, handle, header: dict[str, Any]) -> np.ndarray:
    """Returns the latitudes of the rows in the order of the values."""
    rows = np.sort(np.array(eccodes.codes_get_array(handle, "distinctLatitudes")))
    return rows if header["jScansPositively"] else rows[::-1]


def _longitudes(get, header: dict[str, Any]) -> np.ndarray:
    """Returns the longitudes of the columns in the order of the values, not all in 0..360."""
    first, last = (get(f"longitudeOf{end}GridPointInDegrees") for end in ("First", "Last"))
    sign, number = (-1 if header["iScansNegatively"] else 1), int(header["Ni"])
    span = sign * (last - first) % 360 or 360.0
    step = span / max(number - 1, 1)
    if abs(step * number - 360) < 0.01 * step:
        step = 360 / number  # GRIB 1 rounds the ends to thousandths of a degree
    return first + sign * step * np.arange(number)


def _why_not(key: tuple, fields: dict[tuple, _Field]) -> str:
    """Returns why a variable cannot be stored; empty if it can."""
    name, kind, _, _, grid = key
    header = fields[key].header
    if header["gridType"] not in _GRIDS:
        return f"its grid {header['gridType']!r} is not a latitude-longitude grid"
    times = np.array([time for time, _ in fields[key].offsets])
    years = times.astype("datetime64[Y]").astype(int) + 1970
    if min(years) < _YEARS[0] or max(years) > _YEARS[1]:
        return "it has no date"
    alike = [other for other in fields if other[0] == name and other != key]
    if any(other[1:3] == key[1:3] and other[4] == grid for other in alike):
        return "it has several ensemble members"
    if kind not in _LEVEL_TYPES and any(other[1] == kind for other in alike):
        return f"its vertical coordinate {kind!r} has several values and is not one of levels"
    return ""


def _piece(path: Path, key: tuple, field: _Field) -> Piece:
    name, kind, fixed, _, _ = key
    header = field.header
    time = np.unique(np.array([t for t, _ in field.offsets]))
    level = np.unique(np.array([v for _, v in field.offsets]))
    for place in ((t, v) for t in time for v in level):
        if place not in field.offsets:
            raise UserError(
                f"{path.name} has no message for {name!r} at {place[0]}, level {place[1]:g}."
            )
    latitude, row_order = order_latitude(header["latitude"], path.name)
    longitude, column_order = order_longitude(header["longitude"], path.name)
    has_level = kind in _LEVEL_TYPES
    comment = f"at {kind} {fixed:g}" if fixed else ""
    level_type = _LEVEL_TYPES.get(kind, "")
    offsets = np.array([[field.offsets[t, v] for v in level] for t in time])
    return Piece(
        source_name=name,
        source=path.name,
        time=time,
        level=levels_of_variable(name, level, level_type) if has_level else np.zeros(0),
        level_type=level_type,
        latitude=latitude,
        longitude=longitude,
        units=cf_units(header["units"] or ""),
        standard_name="" if header["cfName"] in (None, "unknown") else header["cfName"],
        long_name=header["name"] or name,
        attributes=_attributes(header),
        read=_Reader(path, offsets, header, row_order, column_order),
        comment=comment,
    )


def _attributes(header: dict[str, Any]) -> dict[str, Any]:
    is_era5 = header["class"] == "ea"
    return {
        "title": "ERA5" if is_era5 else "",
        "institution": header["centreDescription"],
        "licence": "Contains modified Copernicus Climate Change Service information"
        if is_era5
        else "",
    }


class _Reader:
    """Reads messages of one variable by their offsets, `(time, level)`, in the file."""

    def __init__(self, path, offsets, header, row_order, column_order):
        self._path, self._offsets, self._header = path, offsets, header
        self._rows, self._columns = row_order, column_order

    def __call__(self, start: int, stop: int, level_index: np.ndarray) -> np.ndarray:
        offsets = self._offsets[start:stop][:, level_index]
        shape = (*offsets.shape, len(self._rows), len(self._columns))
        values = np.empty(shape, np.float32)
        with self._path.open("rb") as file:
            for place in sorted(np.ndindex(offsets.shape), key=lambda p: offsets[p]):
                values[place] = self._message(file, int(offsets[place]))
        return values

    def crop(self, rows: np.ndarray, columns: np.ndarray) -> "_Reader":
        """Returns the reader of some rows and columns; a message is decoded whole."""
        rows, columns = self._rows[rows], self._columns[columns]
        return _Reader(self._path, self._offsets, self._header, rows, columns)

    def _message(self, file, offset: int) -> np.ndarray:
        eccodes = _eccodes()
        file.seek(offset)
        handle = eccodes.codes_grib_new_from_file(file)
        try:
            eccodes.codes_set(handle, "missingValue", _MISSING)
            values = eccodes.codes_get_values(handle)
            if eccodes.codes_get(handle, "bitmapPresent"):
                values = np.where(values == _MISSING, np.nan, values)
        finally:
            eccodes.codes_release(handle)
        rows, columns = int(self._header["Nj"]), int(self._header["Ni"])
        if self._header["jPointsAreConsecutive"]:
            values = values.reshape(columns, rows).T
        else:
            values = values.reshape(rows, columns)
        return pick(pick(values, self._rows, 0), self._columns, 1)
