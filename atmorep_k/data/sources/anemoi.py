"""Data sets of anemoi as pieces: one array of all variables over cells, laid out as a grid again.

Such a Zarr has `data` (time, variable, ensemble, cell), `dates`, `latitudes` and `longitudes`, and
an attribute `variables` with names like `t_850` and `2t`.
"""

import re
from typing import Any

import numpy as np

from atmorep_k.data.sources.pieces import Piece
from atmorep_k.earth.axes import level_type, order_latitude, order_longitude, pick
from atmorep_k.earth.variables import variable_info
from atmorep_k.errors import UserError

_ARRAYS = ("data", "dates", "latitudes", "longitudes")
_ON_LEVEL = re.compile(r"(.+)_(\d+)")
_FORCING = re.compile(
    r"((cos|sin)_(latitude|longitude|julian_day|local_time|solar_zenith_angle)|insolation|ecef_[xyz])"
)
_NO_FIELD = "it is computed from time and place, which every token already carries"
_KINDS = {"pl": "pressure", "ml": "model"}


def is_anemoi(group: Any) -> bool:
    """Returns whether a Zarr group is a data set of anemoi."""
    return "variables" in group.attrs and all(name in group for name in _ARRAYS)


def anemoi_pieces(group: Any, source: str) -> tuple[list[Piece], dict[str, str]]:
    """Returns the variables of a data set of anemoi, and what was left out: name -> why.

    Units are not in such a data set.

    Args:
        group: the Zarr group.
        source: what to call it.

    Raises:
        UserError: if it has several members, or cells that do not form a grid of latitudes and
            longitudes.
    """
    data, names = group["data"], list(group.attrs["variables"])
    if data.ndim != 4 or data.shape[1] != len(names):
        raise UserError(
            f"{source}: its data {data.shape} are not (time, variable, ensemble, cell) of its "
            f"{len(names)} variables."
        )
    if data.shape[2] != 1:
        raise UserError(f"{source} has {data.shape[2]} ensemble members; give a source with one.")
    grid = _Grid(group, source)
    time, steps = _times(group, source)
    left_out = {n: _NO_FIELD for n in names if _is_forcing(group, n)}
    fields = _fields([n for n in names if n not in left_out])
    pieces = []
    for name, levels in fields:
        index = np.array([names.index(n) for n in levels.values()])
        pieces.append(
            Piece(
                source_name=name,
                source=source,
                time=time,
                level=np.array([v for v in levels if v is not None], float),
                level_type=_level_type(group, levels),
                latitude=grid.latitude,
                longitude=grid.longitude,
                units="",
                standard_name="",
                long_name=name,
                attributes=_attributes(group),
                read=_Reader(data, steps, index, grid.cells),
                time_chunk=data.chunks[0],
            )
        )
    return pieces, left_out


def _is_forcing(group: Any, name: str) -> bool:
    about = (group.attrs.get("variables_metadata") or {}).get(name) or {}
    return bool(about.get("computed_forcing")) or _FORCING.fullmatch(name) is not None


def _fields(names: list[str]) -> list[tuple[str, dict[float | None, str]]]:
    """Returns variables with their levels, ascending, and the names of these.

    The level is None at the surface: `z_500` and `z` are two variables called `z`.
    """
    on_levels: dict[str, dict[float | None, str]] = {}
    at_surface: list[tuple[str, dict[float | None, str]]] = []
    for name in names:
        match = _ON_LEVEL.fullmatch(name)
        info = variable_info(match[1]) if match else None
        if match and info is not None and info.has_level:
            on_levels.setdefault(match[1], {})[float(match[2])] = name
        else:
            at_surface.append((name, {None: name}))
    ordered = [(name, dict(sorted(levels.items()))) for name, levels in on_levels.items()]
    return ordered + at_surface


def _level_type(group: Any, levels: dict[float | None, str]) -> str:
    if None in levels:
        return ""
    about = (group.attrs.get("variables_metadata") or {}).get(next(iter(levels.values()))) or {}
    kind = _KINDS.get(str((about.get("mars") or {}).get("levtype")))
    every = [m[2] for n in group.attrs["variables"] if (m := _ON_LEVEL.fullmatch(n))]
    return kind or level_type("", "", "", np.array(every, float))


def _times(group: Any, source: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns the times that have data, and their steps in the array."""
    dates = np.asarray(group["dates"][:])
    if dates.dtype.kind != "M":
        dates = np.array([np.datetime64(str(d)) for d in dates])
    dates = dates.astype("datetime64[s]")
    missing = [np.datetime64(str(d), "s") for d in group.attrs.get("missing_dates") or ()]
    steps = np.flatnonzero(~np.isin(dates, np.array(missing, "datetime64[s]")))
    if np.any(np.diff(dates[steps]) <= np.timedelta64(0, "s")):
        raise UserError(f"{source}: its dates are not in ascending order.")
    return dates[steps], steps


def _attributes(group: Any) -> dict[str, Any]:
    attributes = group.attrs
    return {
        "title": str(attributes.get("description") or ""),
        "licence": str(attributes.get("attribution") or attributes.get("licence") or ""),
    }


class _Grid:
    """The cells as a grid: its axes, and `cells` (lat, lon), the cell at each of its points."""

    def __init__(self, group: Any, source: str):
        latitude, longitude = (np.asarray(group[n][:]) for n in ("latitudes", "longitudes"))
        cells = _as_grid(latitude, longitude, group.attrs.get("field_shape"))
        if cells is None:
            raise UserError(
                f"{source}: its {len(latitude)} cells do not form a grid of latitudes and "
                f"longitudes (a reduced or an unstructured grid); interpolate it to a regular one "
                f"first."
            )
        self.latitude, rows = order_latitude(latitude[cells[:, 0]], source)
        self.longitude, columns = order_longitude(longitude[cells[0]], source)
        self.cells = pick(pick(cells, rows, 0), columns, 1)


def _as_grid(latitude: np.ndarray, longitude: np.ndarray, shape: Any) -> np.ndarray | None:
    """Returns the cells (lat, lon) in the order of the source; None where they are no grid."""
    number = len(latitude)
    lengths = [int(shape[-1])] if shape is not None and len(shape) == 2 else []
    for values in (latitude, longitude):
        # A row, or a column, is as long as the first coordinate stays the same.
        changes = np.flatnonzero(values != values[0])
        lengths.append(int(changes[0]) if len(changes) else number)
    for length in lengths:
        if length and number % length == 0:
            cells = np.arange(number).reshape(-1, length)
            for grid in (cells, cells.T):
                if _fits(latitude[grid], longitude[grid]):
                    return grid
    return None


def _fits(latitude: np.ndarray, longitude: np.ndarray) -> bool:
    return bool(np.all(latitude == latitude[:, :1]) and np.all(longitude == longitude[:1]))


class _Reader:
    """Reads the levels of one variable, and lays their cells out as the store's grid.

    A chunk holds all variables, so that each is read with the others around it.
    """

    def __init__(self, data: Any, steps: np.ndarray, index: np.ndarray, cells: np.ndarray):
        self._data, self._steps, self._index, self._cells = data, steps, index, cells

    def __call__(self, start: int, stop: int, level_index: np.ndarray) -> np.ndarray:
        steps, shape = self._steps[start:stop], self._cells.shape
        values = np.empty((len(steps), len(level_index), *shape), np.float32)
        chunk, variables = self._data.chunks[0], self._index[level_index]
        ends = np.flatnonzero(np.diff(steps // chunk)) + 1
        for part in np.split(np.arange(len(steps)), ends):
            stored = self._data.oindex[steps[part], variables, 0, slice(None)]
            values[part] = stored[..., self._cells.ravel()].reshape(*stored.shape[:2], *shape)
        return values

    def crop(self, rows: np.ndarray, columns: np.ndarray) -> "_Reader":
        """Returns the reader of some rows and columns; chunks of all cells are decoded."""
        cells = self._cells[rows][:, columns]
        return _Reader(self._data, self._steps, self._index, cells)
