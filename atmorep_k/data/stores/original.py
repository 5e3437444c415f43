"""Stores of the original AtmoRep, opened as they are.

A Zarr group of two large arrays, `data` (time, field, level, lat, lon) and `data_sfc` (time, field,
lat, lon), each chunk with all fields, all levels and the globe; `time`, `lats` (co-latitudes from
the North Pole on), `lons`; in the group `normalization` mean and standard deviation of every month
of every year; the names of fields and the levels as attributes.
"""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from atmorep_k.data.stores.array_source import ArraySource
from atmorep_k.data.stores.base import Store, lazy_dataset
from atmorep_k.data.stores.layout import decode_time, mean_spacing
from atmorep_k.data.stores.statistics import MONTHS, Pair, Scope, StoredStatistics, fill_constant
from atmorep_k.earth.axes import level_type
from atmorep_k.earth.variables import VariableInfo, canonical_name, variable_info
from atmorep_k.errors import UserError

if TYPE_CHECKING:
    import xarray as xr

_AXES = ("time", "lats", "lons")
# Array of values -> the attribute that names its fields, and the end of its statistics' names.
_KINDS = {"data": ("fields", ""), "data_sfc": ("fields_sfc", "_sfc")}
_DIMENSIONS = {"data": 5, "data_sfc": 4}
_STATISTICS: dict[Scope, str] = {"global": "global_norm", "grid_point": "norm"}
_WORDS: dict[Scope, str] = {"global": "the whole field", "grid_point": "each grid point"}


@dataclasses.dataclass(frozen=True)
class OriginalStore(Store):
    """A store of the original AtmoRep.

    Its fields have our names where the table of variables knows theirs (`velocity_u` is
    `u_component_of_wind`), else their own. Values are taken to be in ERA5's units, as the files
    give none.

    Args:
        places: name -> (array, index along its axis of fields).
        months: name of an array of statistics -> number of months that it has.
        zarr_format: 2 or 3.
    """

    places: dict[str, tuple[str, int]]
    months: dict[str, int]
    zarr_format: int

    @classmethod
    def recognises(cls, group) -> bool:
        """Returns whether a Zarr group is such a store."""
        values = {n: getattr(group[n], "ndim", 0) for n in _KINDS if n in group}
        shaped = bool(values) and all(_DIMENSIONS[n] == ndim for n, ndim in values.items())
        return shaped and all(n in group for n in _AXES)

    @classmethod
    def open(cls, path: Path, group) -> "OriginalStore":
        """Returns the store that a Zarr group, which is recognised, holds.

        Raises:
            UserError: if a part is missing, or parts do not fit each other.
        """
        time = _time(path, group["time"])
        latitude, longitude = _grid(path, group["lats"][:], group["lons"][:])
        places = _places(path, group)
        level = np.asarray(group.attrs.get("levels", []), np.float64)
        sizes = {"time": time, "level": level, "lats": latitude, "lons": longitude}
        _check_shapes(path, group, {n: len(a) for n, a in sizes.items()})
        months = {}
        if "normalization" in group:
            months = {n: int(a.shape[0]) for n, a in group["normalization"].arrays()}
        return cls(
            path=path,
            time=time,
            level=level if any(array == "data" for array, _ in places.values()) else np.zeros(0),
            latitude=latitude,
            longitude=longitude,
            variables={n: _info(n, *place, group) for n, place in sorted(places.items())},
            attributes=_attributes(path, group, time, level, latitude, longitude),
            places=places,
            months=months,
            zarr_format=group.metadata.zarr_format,
        )

    def statistics(self, variable: str, levels: Sequence[int] | None = None) -> StoredStatistics:
        """Returns the statistics by month of each year, see `Store.statistics`.

        Months of which the store has no times are left out: what stands there means nothing.
        """
        of = self.levels_of(variable)
        chosen = np.arange(len(of)) if levels is None else np.asarray(levels)
        names = {scope: self._name_of(variable, scope) for scope in _STATISTICS}
        scopes = tuple(scope for scope, name in names.items() if name in self.months)
        months = self.time.astype("datetime64[M]").astype(np.int64)
        first_year = int(months[0]) // MONTHS + 1970
        slots = np.unique(months - MONTHS * (first_year - 1970))
        number = min((self.months[names[scope]] for scope in scopes), default=0)
        return StoredStatistics(
            f"{variable!r} of {self.path}",
            of[chosen].tolist(),
            slots[slots < number] if scopes else slots,
            first_year,
            scopes,
            functools.partial(self._load, variable, chosen),
        )

    def _name_of(self, variable: str, scope: Scope) -> str:
        array, _ = self.places[variable]
        return _STATISTICS[scope] + _KINDS[array][1]

    def _load(self, variable: str, levels, scope: Scope, first: int, stop: int) -> Pair:
        import zarr

        name = self._name_of(variable, scope)
        if name not in self.months:
            hint = "".join(
                f"; there are those of {_WORDS[other]} (normalization = {other!r})"
                for other in self.statistics(variable).scopes
            )
            raise UserError(
                f"{variable!r} of {self.path} cannot be normalised: it has no statistics of "
                f"{_WORDS[scope]}, its array normalization/{name} is missing{hint}."
            )
        array = zarr.open_array(self.path / "normalization" / name, mode="r")
        values = np.asarray(array[first:stop, :, self.places[variable][1]], np.float32)
        if not self.variables[variable].has_level:
            values = values[:, :, None]
        mean, std = values[:, 0][:, levels], values[:, 1][:, levels]
        if scope == "global":
            return mean, std
        # What a level's spread is, by the law of total variance over its points.
        with np.errstate(invalid="ignore", over="ignore"):
            variance = np.square(std).mean(axis=(2, 3)) + mean.var(axis=(2, 3))
        return mean, fill_constant(mean, std, np.sqrt(variance))

    def source(self, variable: str) -> ArraySource:
        """Returns the array that holds the variable among others, see `Store.source`."""
        self.levels_of(variable)
        has_level = self.variables[variable].has_level
        array, field = self.places[variable]
        return ArraySource(self.path / array, self.zarr_format, field, has_level)

    def dataset(self) -> "xr.Dataset":
        """Opens the store with xarray, as if each field had an array of its own."""
        from atmorep_k.data.stores.lazy_arrays import FieldArray

        places = {n: (self.path / array, field) for n, (array, field) in self.places.items()}
        return lazy_dataset(self, {n: FieldArray(*place).lazy() for n, place in places.items()})


def _time(path: Path, array) -> np.ndarray:
    values = array[:]
    if values.dtype.kind != "M":
        if "units" not in array.attrs:
            raise UserError(f"{path}: its array time holds {values.dtype}, not dates.")
        values = decode_time(values, array.attrs["units"])
    time = values.astype("datetime64[ns]")
    if not len(time) or np.any(np.diff(time) <= np.timedelta64(0)):
        raise UserError(f"{path}: its times must ascend, and there must be at least one.")
    return time


def _grid(path: Path, lats: np.ndarray, lons: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns latitudes from north to south and longitudes ascending."""
    lats, lons = np.asarray(lats, np.float64), np.asarray(lons, np.float64)
    if not len(lats) or np.any(np.diff(lats) <= 0) or lats[0] < 0 or lats[-1] > 180:
        raise UserError(
            f"{path}: its array lats must hold co-latitudes (0 at the North Pole, 180 at the South "
            f"Pole), ascending."
        )
    # A region across 0 degrees goes on beyond 360, and is told as one that begins in the west.
    breaks = np.diff(lons) < 0
    if breaks.sum() == 1:
        lons = np.where(np.arange(len(lons)) <= np.flatnonzero(breaks)[0], lons - 360, lons)
    if not len(lons) or np.any(np.diff(lons) <= 0) or lons[-1] - lons[0] >= 360:
        raise UserError(f"{path}: its array lons must hold longitudes from west to east.")
    return 90.0 - lats, lons


def _places(path: Path, group) -> dict[str, tuple[str, int]]:
    """Returns our name of a field -> its array and its index there."""
    places = {}
    for array, (attribute, _) in _KINDS.items():
        if array not in group:
            continue
        names = list(group.attrs.get(attribute, []))
        size = group[array].shape[1]
        if len(names) != size:
            raise UserError(
                f"{path} looks like a store of the original AtmoRep, but its attribute "
                f"{attribute!r} names {len(names)} field(s) and its array {array!r} holds {size}."
            )
        for index, name in enumerate(map(str, names)):
            if canonical_name(name) in places:
                raise UserError(f"{path}: two of its fields are {canonical_name(name)!r}.")
            places[canonical_name(name)] = (array, index)
    if not places:
        raise UserError(f"{path} is a store of the original AtmoRep without any field.")
    return places


def _check_shapes(path: Path, group, sizes: dict[str, int]) -> None:
    for array in _KINDS:
        if array not in group or not group[array].shape[1]:
            continue
        names = ["time", *(["level"] if array == "data" else []), "lats", "lons"]
        expected = tuple(sizes[name] for name in names)
        shape = group[array].shape[:1] + group[array].shape[2:]
        if shape != expected:
            raise UserError(
                f"{path}: its array {array!r} has {shape} values along ({', '.join(names)}), but "
                f"its axes (for levels the attribute 'levels') have {expected}."
            )


def _info(name: str, array: str, index: int, group) -> VariableInfo:
    source = group.attrs[_KINDS[array][0]][index]
    has_level, known = array == "data", variable_info(name)
    if known is None:
        return VariableInfo("", "", source, has_level, "the source gives no units")
    comment = f"{source!r} in a store of the original, which has no units: ERA5's are assumed"
    return dataclasses.replace(known, has_level=has_level, comment=comment)


def _attributes(path: Path, group, time, level, latitude, longitude) -> dict[str, Any]:
    given = dict(group.attrs)
    spacing = [mean_spacing(latitude), mean_spacing(longitude)]
    is_round = len(longitude) > 1 and abs(len(longitude) * spacing[1] - 360) < spacing[1] / 2
    is_global = float(given.get("is_global", is_round)) >= 1
    if is_global and not is_round:
        raise UserError(
            f"{path} says that it is global (is_global = {given['is_global']}), but its longitudes "
            f"end before they are round: {longitude[0]:g} to {longitude[-1]:g}."
        )
    resolution = np.broadcast_to(np.asarray(given.get("res", spacing), float), 2).tolist()
    return {
        "title": "",
        "source": "a store of the original AtmoRep",
        "attribution": "",
        "simulated": False,
        "level_type": level_type("", "", "", level) or "model" if len(level) else "",
        "is_global": is_global,
        "resolution": resolution,
        "fingerprint": _fingerprint(group, given, (time, latitude, longitude)),
    }


def _fingerprint(group, attributes: dict[str, Any], coordinates) -> str:
    """Returns a hash of coordinates, attributes and the statistics of whole fields."""
    printed = hashlib.sha256(json.dumps(attributes, sort_keys=True, default=str).encode())
    small = [f"normalization/{_STATISTICS['global']}{end}" for _, end in _KINDS.values()]
    for values in [*coordinates, *(group[name][:] for name in small if name in group)]:
        printed.update(np.ascontiguousarray(values).tobytes())
    return printed.hexdigest()
