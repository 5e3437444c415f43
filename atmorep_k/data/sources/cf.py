"""NetCDF and Zarr as pieces, read lazily with xarray: the axes are found by name and attributes.

Covered are the Climate Data Store, old (`time`, `level`) and new (`valid_time`,
`pressure_level`, `number`, `expver`), MERRA-2 (`lev`, `lat`, `lon`), WeatherBench 2 and ARCO.
"""

import dataclasses
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from atmorep_k.data.sources.pieces import Piece, levels_of_variable
from atmorep_k.earth.axes import as_slice, level_type, order_latitude, order_longitude, pick
from atmorep_k.earth.units import cf_units
from atmorep_k.errors import UserError

if TYPE_CHECKING:
    import xarray as xr

_LATITUDE = ("latitude", "lat")
_LONGITUDE = ("longitude", "lon")
_TIME = ("valid_time", "time")
_LEVEL = (
    *("level", "lev", "pressure_level", "plev", "isobaricInhPa", "isobaricInPa"),
    *("model_level", "model_level_number", "hybrid"),
)
_CLASSIC = (b"CDF\x01", b"CDF\x02")


def netcdf_pieces(path: Path) -> tuple[list[Piece], dict[str, str]]:
    """Returns the variables of a NetCDF file, and what was left out: name -> why.

    Raises:
        UserError: if the file is damaged, cut off, or its axes cannot be used.
    """
    import xarray as xr

    _check_whole(path)
    try:
        # A class instead of a name: xarray then loads none of the plug-ins that are installed, of
        # which two with libraries of the same name (PROJ) can crash the process.
        engine = xr.backends.NetCDF4BackendEntrypoint
        dataset = xr.open_dataset(path, engine=engine, cache=False, decode_timedelta=False)
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(
            f"{path.name} cannot be read: it is damaged, truncated, or not NetCDF ({error})."
        ) from error
    return _pieces(dataset, path.name)


def zarr_pieces(store: Any, source: str) -> tuple[list[Piece], dict[str, str]]:
    """Returns the variables of a Zarr group, and what was left out: name -> why.

    Args:
        store: the store of the group, as Zarr has it.
        source: what to call it.

    Raises:
        UserError: if it cannot be opened or its axes cannot be used.
    """
    import xarray as xr

    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*consolidated metadata.*")
            engine = xr.backends.ZarrBackendEntrypoint
            dataset = xr.open_dataset(store, engine=engine, cache=False, decode_timedelta=False)
    except Exception as error:
        raise UserError(f"{source} cannot be opened as Zarr: {error}.") from error
    return _pieces(dataset, source)


def _check_whole(path: Path) -> None:
    """Refuses a classic NetCDF file that is cut off: the library would read zeros from it."""
    with path.open("rb") as file:
        if file.read(4) not in _CLASSIC:
            return
    from scipy.io import netcdf_file

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            netcdf_file(path, "r", mmap=True).close()
    except (ValueError, TypeError) as error:
        raise UserError(
            f"{path.name} is truncated: it is shorter than its header says; download it again."
        ) from error


def _pieces(dataset: "xr.Dataset", source: str) -> tuple[list[Piece], dict[str, str]]:
    pieces, left_out = [], {}
    for name in dataset.data_vars:
        axes = _find_axes(dataset[name])
        if isinstance(axes, str):
            left_out[str(name)] = axes
        else:
            pieces.append(_piece(dataset, str(name), axes, source))
    return pieces, left_out


@dataclasses.dataclass(frozen=True)
class _Axes:
    """Names of the coordinates of a variable; `members` a dimension of ERA5 and ERA5T, or empty."""

    time: str
    level: str
    latitude: str
    longitude: str
    members: str


def _find_axes(array: "xr.DataArray") -> _Axes | str:
    """Returns the axes of an array, or why it has none that can be used."""
    latitude = _axis(array, _LATITUDE, "latitude", "degrees_north")
    longitude = _axis(array, _LONGITUDE, "longitude", "degrees_east")
    time = next((n for n in _TIME if n in array.coords and _is_time(array.coords[n])), "")
    if not latitude or not longitude:
        return "it has no one-dimensional latitude and longitude"
    if not time:
        return "it does not depend on time"
    if array.coords[time].ndim > 1 or array.dtype.kind not in "fiu":
        return "it is not numeric with a single time axis"
    known = {latitude, longitude, *array.coords[time].dims}
    rest = [str(d) for d in array.dims if d not in known]
    level = next((d for d in rest if _is_level(array, d)), "") or _scalar_level(array)
    members = "expver" if "expver" in rest and array.sizes["expver"] == 2 else ""
    others = [d for d in rest if d not in (level, members) and array.sizes[d] > 1]
    if others:
        return f"its dimension {others[0]!r} is not a level, latitude, longitude or time"
    return _Axes(time, level, latitude, longitude, members)


def _axis(array: "xr.DataArray", names: tuple, standard_name: str, units: str) -> str:
    for dimension in map(str, array.dims):
        attributes = array.coords[dimension].attrs if dimension in array.coords else {}
        marked = (attributes.get("standard_name"), attributes.get("units"))
        if dimension in array.coords and (
            dimension in names or marked[0] == standard_name or marked[1] == units
        ):
            return dimension
    return ""


def _is_time(coordinate: "xr.DataArray") -> bool:
    if coordinate.dtype == object and coordinate.size:
        return hasattr(coordinate.values.flat[0], "year")  # a date of cftime
    return coordinate.dtype.kind == "M"


def _is_level(array: "xr.DataArray", name: str) -> bool:
    if name not in array.coords or array.coords[name].dtype.kind not in "fiu":
        return False
    attributes = array.coords[name].attrs
    words = f"{attributes.get('standard_name', '')} {attributes.get('long_name', '')}"
    is_pressure = cf_units(attributes.get("units", "")) in ("hPa", "Pa")
    return name in _LEVEL or is_pressure or "model_level" in words or "hybrid" in words


def _scalar_level(array: "xr.DataArray") -> str:
    """Returns the coordinate of the one level that a variable without the dimension lies at."""
    names = [n for n in _LEVEL if n in array.coords and array.coords[n].ndim == 0]
    return names[0] if names and _is_level(array, names[0]) else ""


def _piece(dataset: "xr.Dataset", name: str, axes: _Axes, source: str) -> Piece:
    array = dataset[name]
    time, time_order = _times(array.coords[axes.time], source)
    latitude, rows = order_latitude(array.coords[axes.latitude].values, source)
    longitude, columns = order_longitude(array.coords[axes.longitude].values, source)
    level, level_order, kind = _levels(array, axes.level)
    units = cf_units(array.attrs.get("units", ""))
    return Piece(
        source_name=name,
        source=source,
        time=time,
        level=levels_of_variable(name, level, kind),
        level_type=kind,
        latitude=latitude,
        longitude=longitude,
        units=units,
        standard_name=str(array.attrs.get("standard_name", "")),
        long_name=str(array.attrs.get("long_name", name)),
        attributes=_attributes(dataset),
        read=_Reader(array, axes, source, (time_order, level_order, rows, columns)),
        time_chunk=_time_chunk(array, axes.time),
    )


def _times(coordinate: "xr.DataArray", source: str) -> tuple[np.ndarray, np.ndarray]:
    values = np.atleast_1d(coordinate.values)
    if values.dtype == object:
        raise UserError(
            f"{source}: its calendar {coordinate.encoding.get('calendar', '')!r} is not the one "
            f"of the real world, which is needed to know the month and the day."
        )
    # Half a second is added because times in fractions of days are not exact.
    time = (values + np.timedelta64(500, "ms")).astype("datetime64[s]")
    order = np.argsort(time, kind="stable")
    if np.any(np.diff(time[order]) <= np.timedelta64(0, "s")):
        raise UserError(f"{source}: a time occurs twice.")
    return time[order], order


def _levels(array: "xr.DataArray", name: str) -> tuple[np.ndarray, np.ndarray, str]:
    if not name:
        return np.zeros(0), np.zeros(1, int), ""
    coordinate = array.coords[name]
    values = np.atleast_1d(coordinate.values).astype(np.float64)
    units = cf_units(coordinate.attrs.get("units", ""))
    words = " ".join(str(coordinate.attrs.get(n, "")) for n in ("standard_name", "long_name"))
    kind = level_type(name, units, words, values)
    in_pascal = units == "Pa" or (name == "isobaricInPa" and not units)
    values = np.round(values / 100 if in_pascal else values, 6)
    order = np.argsort(values)
    return values[order], order, kind


def _time_chunk(array: "xr.DataArray", time: str) -> int:
    chunks = array.encoding.get("preferred_chunks") or {}
    dimensions = array.coords[time].dims
    return int(chunks.get(dimensions[0], 1)) if dimensions else 1


def _attributes(dataset: "xr.Dataset") -> dict[str, Any]:
    lower = {str(k).lower(): v for k, v in dataset.attrs.items()}
    doi = lower.get("identifier_product_doi", "")
    found = {
        "title": lower.get("title") or lower.get("longname", ""),
        "institution": lower.get("institution") or lower.get("source", ""),
        "licence": lower.get("attribution") or lower.get("licence") or lower.get("license", ""),
        "doi": doi if str(doi).startswith("10.") else "",
        "simulated": lower.get("simulated", False),
    }
    return {k: v if isinstance(v, (bool, np.bool_)) else str(v) for k, v in found.items()}


def _span(index: np.ndarray) -> tuple[np.ndarray, slice]:
    """Returns the slice that holds all of an index, and the index within the slice."""
    first = int(index.min())
    return index - first, slice(first, int(index.max()) + 1)


class _Reader:
    """Reads blocks of one variable and brings them to (time, level, lat, lon)."""

    def __init__(self, array: "xr.DataArray", axes: _Axes, source: str, orders: tuple):
        self._array, self._axes, self._source = array, axes, source
        self._time, self._level, self._rows, self._columns = orders

    def __call__(self, start: int, stop: int, level_index: np.ndarray) -> np.ndarray:
        where = {}
        time = self._array.coords[self._axes.time].dims
        if time:
            where[time[0]] = as_slice(self._time[start:stop])
        if self._axes.level in self._array.dims:
            where[self._axes.level] = as_slice(self._level[level_index])
        rows, where[self._axes.latitude] = _span(self._rows)
        columns, where[self._axes.longitude] = _span(self._columns)
        part = self._load(where)
        dims = [*time, self._axes.level, self._axes.latitude, self._axes.longitude]
        part = part.squeeze([d for d in part.dims if d not in dims])
        present = [d for d in dims if d in part.dims]
        values = part.transpose(*present).values.astype(np.float32, copy=False)
        if not time:
            values = values[None]
        if values.ndim == 3:
            values = values[:, None]
        return pick(pick(values, rows, 2), columns, 3)

    def crop(self, rows: np.ndarray, columns: np.ndarray) -> "_Reader":
        """Returns the reader of some rows and columns, which reads no others.

        Columns on both sides of the source's cut are read with those between them.
        """
        orders = (self._time, self._level, self._rows[rows], self._columns[columns])
        return _Reader(self._array, self._axes, self._source, orders)

    def _load(self, where: dict[str, Any]) -> "xr.DataArray":
        try:
            part = self._array.isel(where).load()
        except (OSError, RuntimeError, ValueError) as error:
            raise UserError(
                f"{self._source}: {self._array.name!r} cannot be read, the file may be damaged "
                f"({error})."
            ) from error
        if self._axes.members:
            # The Climate Data Store puts ERA5 and the preliminary ERA5T side by side; each
            # time step has values in one of them.
            first, second = (part.isel({self._axes.members: i}) for i in (0, 1))
            part = first.where(first.notnull(), second)
        return part
