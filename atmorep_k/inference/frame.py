"""Windows of predictions put together on one grid, and labelled."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import xarray as xr

from atmorep_k.data.stores.base import Store
from atmorep_k.data.stores.layout import encode_time, level_attributes
from atmorep_k.earth.variables import VariableInfo
from atmorep_k.fields import FieldSpec, Position, Window
from atmorep_k.inference.canvas import Canvas, mean_and_spread
from atmorep_k.inference.hours import Hours, step
from atmorep_k.inference.tiling import Cover

_HOUR = np.timedelta64(1, "h")


@dataclasses.dataclass(frozen=True)
class Frame:
    """What predictions of all times have in common: the grid, the hours, the labels.

    Args:
        store: the store whose grid and times they have.
        stores: field -> the store that it is made from.
        tiling: the windows, and the grid that they cover.
        hours: the steps of a window that are kept.
        fields: the `FieldSpec`s that are written.
        attributes: global attributes.

    Attributes:
        points: names of the dimensions of the grid.
    """

    points: ClassVar[tuple[str, ...]] = ("latitude", "longitude")

    store: Store
    stores: dict[str, Store]
    tiling: Cover
    hours: Hours
    fields: Sequence[FieldSpec]
    attributes: dict[str, Any]

    @property
    def window(self) -> Window:
        """The `Window` of all fields."""
        return self.fields[0].window

    @property
    def leads(self) -> np.ndarray:
        """`(lead,)` timedelta64 after the time that names a prediction."""
        return (self.hours.shown - self.hours.reference) * step(self.window)

    @property
    def dims(self) -> tuple[str, ...]:
        """Dimensions of what is written, in order; no level where all fields are of the surface."""
        level = ("level",) if self.level else ()
        return ("time", "prediction_timedelta", "number", *level, *self.points)

    @property
    def level(self) -> list[float]:
        """All levels of the fields that have levels, ascending."""
        return sorted({n for f in self.fields if self.info(f.name).has_level for n in f.levels})

    def info(self, field: str) -> VariableInfo:
        """Returns units and names of a field."""
        return self.stores[field].variables[field]

    def times(self, start: int) -> np.ndarray:
        """Returns the times of a window that starts at an index of the store, also after it."""
        time = self.store.time
        after = max(0, start - (len(time) - 1))
        first = time[start - after] + (after * np.diff(time[-2:])[0] if after else 0)
        return first + np.arange(self.window.shape[0]) * step(self.window)

    def named(self, start: int) -> np.datetime64:
        """Returns the time that names the prediction of a window that starts at an index."""
        return self.times(start)[self.hours.reference]

    def samples(self, starts: np.ndarray) -> list[Position]:
        """Returns all windows of the first start, and one of each other."""
        first, *others = (int(start) for start in starts)
        return [*self.tiling.tiles(first), *(self.tiling.tiles(start)[0] for start in others)]

    def canvas(self, field, number: int) -> Canvas:
        """Returns an empty canvas for a field with a number of members."""
        return Canvas(field, self.hours.shown, number, self.tiling.shape)

    def dataset(self, start: int, canvases: dict[str, Canvas], *, members, hidden) -> xr.Dataset:
        """Returns the prediction of the windows that start at an index of the store.

        Args:
            start: the index.
            canvases: field -> its canvas, complete; used up.
            members: whether to give all members; else their mean and spread.
            hidden: whether to give what was masked, too.
        """
        variables = {}
        for field in self.fields:
            canvas = canvases[field.name]
            if hidden:
                variables[f"{field.name}_hidden"] = self._hidden(field, canvas.hidden)
            variables |= self._values(field, canvas.members(), members)
        coordinates = self._coordinates(self.named(start))
        if members:
            number = next(v.sizes["number"] for v in variables.values() if "number" in v.dims)
            attributes = {"standard_name": "realization", "long_name": "member", "axis": "E"}
            coordinates["number"] = xr.Variable("number", np.arange(number), attributes)
        return xr.Dataset(variables, coordinates, dict(self.attributes))

    def _values(self, field, values: np.ndarray, members: bool) -> dict[str, xr.Variable]:
        info = self.info(field.name)
        words = {"units": info.units, "standard_name": info.standard_name}
        words = {k: v for k, v in words.items() if v or k == "units"}
        name = info.long_name or field.name.replace("_", " ")
        variable = self._variable(field, values, {**words, "long_name": name}, True)
        return {field.name: variable} if members else mean_and_spread(field.name, variable)

    def _hidden(self, field, values: np.ndarray) -> xr.Variable:
        attributes = {"long_name": f"whether {field.name.replace('_', ' ')} was masked"}
        return self._variable(field, values, attributes, False, fill=False)

    def _variable(self, field, values, attributes, members: bool, fill=np.nan) -> xr.Variable:
        """Labels (lead, [member,] level, lat, lon); levels that the field lacks are filled."""
        before = ["time", "prediction_timedelta", *(["number"] if members else [])]
        dims, axis = [*before, "level", *self.points], len(before) - 1
        if not self.info(field.name).has_level:
            dims.remove("level")
            values = values.squeeze(axis)
        elif list(field.levels) != self.level:
            shape = [len(self.level) if n == axis else s for n, s in enumerate(values.shape)]
            whole = np.full(shape, fill, values.dtype)
            whole[(slice(None),) * axis + ([self.level.index(n) for n in field.levels],)] = values
            values = whole
        return xr.Variable(dims, values[None], attributes)

    def _coordinates(self, time: np.datetime64) -> dict[str, xr.Variable]:
        coordinates = {
            "time": ("time", [time], {"standard_name": "forecast_reference_time", "axis": "T"}),
            "prediction_timedelta": (
                "prediction_timedelta",
                self.leads,
                {"standard_name": "forecast_period", "long_name": "time after the reference time"},
            ),
            **self._horizontal(),
        }
        if self.level:
            of_level = level_attributes(self._level_type())
            coordinates["level"] = ("level", self.level, {**of_level, "axis": "Z"})
        return {name: xr.Variable(*parts) for name, parts in coordinates.items()}

    def _horizontal(self) -> dict[str, tuple]:
        latitude, longitude = self.grid()
        return {
            "latitude": ("latitude", latitude, _axis("latitude", "degrees_north", "Y")),
            "longitude": ("longitude", longitude, _axis("longitude", "degrees_east", "X")),
        }

    def _level_type(self) -> str:
        name = next(f.name for f in self.fields if self.info(f.name).has_level)
        return self.stores[name].attributes.get("level_type", "")

    def grid(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns latitudes and longitudes of what is written, longitudes without a jump."""
        return self.tiling.coordinates(self.store)

    def encoding(self) -> dict[str, dict]:
        """Returns how times are written, the same for all of them."""
        _, units = encode_time(self.store.time)
        unit = "hours" if not np.any(self.leads % _HOUR) else "minutes"
        return {
            "time": {"units": units, "calendar": "proleptic_gregorian", "dtype": "int64"},
            "prediction_timedelta": {"units": unit, "dtype": "int64"},
        }


def _axis(name: str, units: str, axis: str) -> dict[str, str]:
    return {"standard_name": name, "units": units, "axis": axis}
