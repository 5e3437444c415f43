"""A piece: one variable of one source file, on the store's axes, read some steps at a time."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from atmorep_k.earth.variables import canonical_name, variable_info


@dataclasses.dataclass(frozen=True)
class Piece:
    """One variable of one source.

    Args:
        source_name: its name in the source.
        source: the name of the file.
        time: `(time,)` datetime64[s], ascending.
        level: `(level,)` ascending, hPa or numbers; empty at the surface.
        level_type: `"pressure"`, `"model"` or empty.
        latitude: `(lat,)` from north to south.
        longitude: `(lon,)` ascending and unbroken.
        units: as CF spells them; empty where the source gives none.
        standard_name: CF standard name that the source gives, or empty.
        long_name: what the source calls it.
        attributes: global attributes of the source.
        read: `read(start, stop, level_index)` gives the time steps start..stop as float32
            `(time, level, lat, lon)`; `level_index` picks levels, `[0]` at the surface. It can be
            pickled, to be called in another process. Where it has a method `crop(rows, columns)`,
            that returns the reader of these rows and columns (indices, in the order wanted).
        time_chunk: time steps that the source stores, and must read, together.
        comment: what a user of the values must know.
    """

    source_name: str
    source: str
    time: np.ndarray
    level: np.ndarray
    level_type: str
    latitude: np.ndarray
    longitude: np.ndarray
    units: str
    standard_name: str
    long_name: str
    attributes: dict[str, Any]
    read: Callable[[int, int, np.ndarray], np.ndarray]
    time_chunk: int = 1
    comment: str = ""

    @property
    def name(self) -> str:
        """The name in the store: as in WeatherBench 2 if the variable is known."""
        name = canonical_name(self.source_name)
        if name == "geopotential" and not len(self.level):
            return "geopotential_at_surface"
        return name

    @property
    def is_known(self) -> bool:
        """Whether the table of variables has it."""
        return variable_info(self.name) is not None


def levels_of_variable(source_name: str, level: np.ndarray, level_type: str) -> np.ndarray:
    """Returns the levels that a variable really has; none where it lies at the surface.

    ECMWF files the surface pressure and the surface geopotential under model level 1.
    """
    info = variable_info(source_name)
    if len(level) != 1 or info is None:
        return level
    at_surface = level_type == "model" and level[0] == 1 and source_name in ("z", "geopotential")
    return np.zeros(0) if at_surface or not info.has_level else level
