"""How a store lies on disk: its description, the sizes of tiles and shards, the code of times."""

import dataclasses
import math
import re
from typing import Any

import numpy as np

from atmorep_k.earth.variables import VariableInfo
from atmorep_k.errors import UserError, unknown

CODECS = ("lz4", "zstd", "none")
PACKINGS = ("float32", "int16")
_TILED = ("time", "latitude", "longitude")

_SECONDS = {"days": 86400, "hours": 3600, "minutes": 60, "seconds": 1}
_LEVEL_ATTRIBUTES = {
    "pressure": {"standard_name": "air_pressure", "units": "hPa", "positive": "down"},
    "model": {"standard_name": "atmosphere_hybrid_sigma_pressure_coordinate", "units": "1"},
    "": {"long_name": "level", "units": "1"},
}


@dataclasses.dataclass(frozen=True)
class Layout:
    """How the values of a store are cut, packed and compressed; the defaults are measured.

    Windows are read fastest from chunks of a third to a half of their edges. Shards hold many
    chunks in one file, so that a store of decades has some 100,000 files, not 20 million. Levels
    are never cut.

    Args:
        chunk: points of a chunk in (time, lat, lon).
        shard: points of a shard, multiples of the chunk's.
        codec: `"lz4"`; `"zstd"`, a fifth smaller at twice the time to read; or `"none"`.
        packing: `"float32"`, as it is; or `"int16"`, with a scale and an offset per level.

    Raises:
        UserError: if a name is unknown, or a shard is not a multiple of a chunk.
    """

    chunk: tuple[int, int, int] = (12, 30, 60)
    shard: tuple[int, int, int] = (48, 240, 480)
    codec: str = "lz4"
    packing: str = "float32"

    def __post_init__(self):
        for name, of, allowed in (
            ("codec", self.codec, CODECS),
            ("packing", self.packing, PACKINGS),
        ):
            if of not in allowed:
                raise unknown(name, of, allowed)
        for name, chunk, shard in zip(_TILED, self.chunk, self.shard, strict=True):
            if chunk < 1 or shard < 1 or shard % chunk:
                chunk = max(1, chunk)
                raise UserError(
                    f"a shard of {shard} points in {name} is not a multiple of a chunk of {chunk}; "
                    f"the nearest multiple is {chunk * max(1, round(shard / chunk))}."
                )


@dataclasses.dataclass(frozen=True)
class StoreDescription:
    """Everything of a store but the values.

    Args:
        time: `(time,)` datetime64, ascending.
        level: `(level,)` ascending; empty where every variable lies at the surface.
        latitude: `(latitude,)` degrees, from north to south.
        longitude: `(longitude,)` degrees, ascending and unbroken.
        variables: name -> `VariableInfo`.
        attributes: global attributes: `title`, `source`, `attribution`, `simulated` (bool),
            `level_type` (`"pressure"` in hPa, `"model"`, or empty), and any other.
        layout: how the values are cut, packed and compressed.
        links: the sources in which the values stay; none where the store holds them.

    Raises:
        UserError: if a coordinate is not in its order or there is nothing to store.
    """

    time: np.ndarray
    level: np.ndarray
    latitude: np.ndarray
    longitude: np.ndarray
    variables: dict[str, VariableInfo]
    attributes: dict[str, Any]
    layout: Layout = Layout()
    links: tuple[str, ...] = ()

    def __post_init__(self):
        object.__setattr__(self, "time", np.asarray(self.time).astype("datetime64[ns]"))
        for name in ("level", "latitude", "longitude"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), np.float64).reshape(-1))
        if not self.variables or not len(self.time):
            raise UserError("nothing to store: there must be at least one variable and one time.")
        if any(info.has_level for info in self.variables.values()) and not len(self.level):
            raise UserError("some variables have levels, but no level was given.")
        orders = {"time": 1, "level": 1, "latitude": -1, "longitude": 1}
        for name, sign in orders.items():
            steps = np.diff(getattr(self, name)).astype(np.float64) * sign
            if not np.all(steps > 0):
                order = "ascending" if sign > 0 else "from north to south"
                raise UserError(f"the coordinate {name!r} must be {order}, each value once.")

    def levels_of(self, variable: str) -> int:
        """Returns the size of a variable's level axis; 1 at the surface."""
        return len(self.level) if self.variables[variable].has_level else 1

    def dimensions(self, variable: str) -> tuple[str, ...]:
        """Returns the dimensions of a variable in the store."""
        level = ("level",) if self.variables[variable].has_level else ()
        return ("time", *level, "latitude", "longitude")

    def shape(self, variable: str) -> tuple[int, ...]:
        """Returns the sizes of a variable's dimensions in the store."""
        return tuple(len(getattr(self, name)) for name in self.dimensions(variable))

    def tiles(self, variable: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Returns the sizes of a variable's chunks and shards."""
        pairs = [self._tile(n) for n in self.dimensions(variable)]
        return tuple(chunk for chunk, _ in pairs), tuple(shard for _, shard in pairs)

    def _tile(self, name: str) -> tuple[int, int]:
        """Returns chunk and shard of a dimension.

        A grid that fits in a shard is cut into equal parts, so that no chunk is mostly padding. The
        record is not: it may grow.
        """
        size = len(getattr(self, name))
        if name == "level":
            return size, size
        index = _TILED.index(name)
        chunk, shard = self.layout.chunk[index], self.layout.shard[index]
        if name == "time" or size >= shard:
            return chunk, shard
        parts = math.ceil(size / chunk)
        chunk = math.ceil(size / parts)
        return chunk, chunk * parts

    def blocks(self, steps: int, known: int = 0) -> list[tuple[int, int]]:
        """Returns first and stop of stretches of the record, some whole time shards each.

        Args:
            steps: time steps of a stretch at most, but for one shard at least.
            known: time steps at the beginning whose whole shards are left out.
        """
        shard, number = self.layout.shard[0], len(self.time)
        size, first = shard * max(1, steps // shard), known - known % shard
        return [(start, min(start + size, number)) for start in range(first, number, size)]

    @property
    def is_global(self) -> bool:
        """Whether the longitudes go round the globe."""
        step = mean_spacing(self.longitude)
        return len(self.longitude) > 1 and abs(len(self.longitude) * step - 360) < step / 2

    @property
    def resolution(self) -> list[float]:
        """Mean spacing in degrees, [latitude, longitude]; 0 where there is one point."""
        return [mean_spacing(self.latitude), mean_spacing(self.longitude)]


def mean_spacing(values: np.ndarray) -> float:
    """Returns the mean distance between neighbours; 0 where there is one value."""
    if len(values) < 2:
        return 0.0
    return round(float(abs(values[-1] - values[0]) / (len(values) - 1)), 6)


def level_attributes(level_type: str) -> dict[str, str]:
    """Returns the CF attributes of the level coordinate."""
    return dict(_LEVEL_ATTRIBUTES.get(level_type, _LEVEL_ATTRIBUTES[""]))


def encode_time(time: np.ndarray) -> tuple[np.ndarray, str]:
    """Returns int64 counts and CF units, in the longest of hours, minutes, seconds that fits."""
    seconds = time.astype("datetime64[s]").astype(np.int64)
    if np.any(time != time.astype("datetime64[s]")):
        raise UserError("times must be whole seconds to be stored.")
    for unit in ("hours", "minutes", "seconds"):
        if not np.any(seconds % _SECONDS[unit]):
            return seconds // _SECONDS[unit], f"{unit} since 1970-01-01"
    raise AssertionError("every whole second is a multiple of a second")


def decode_time(counts: np.ndarray, units: str) -> np.ndarray:
    """Returns datetime64[ns] for counts in CF `units` such as `hours since 1970-01-01`."""
    match = re.fullmatch(r"(days|hours|minutes|seconds) since (\S+)(?: (\S+))?", units)
    if not match:
        raise UserError(f"invalid unit of time {units!r}; write it like 'hours since 1970-01-01'.")
    start = np.datetime64("T".join(filter(None, match.groups()[1:])), "s")
    return (start + np.asarray(counts, np.int64) * _SECONDS[match[1]]).astype("datetime64[ns]")
