"""Windows of predictions put together on one grid, and labelled."""

import dataclasses

import numpy as np
import xarray as xr

from atmorep_k.data.layout import encode_time, level_attributes
from atmorep_k.data.store import Store
from atmorep_k.data.variables import VariableInfo
from atmorep_k.fields import Position
from atmorep_k.planning import Hours, step
from atmorep_k.tiling import Tiling, without_jump

_HOUR = np.timedelta64(1, "h")


class Canvas:
    """One field on the covered grid while windows are added to it, in float64.

    Args:
        field: the `FieldSpec`.
        steps: time steps of the window that are kept.
        number: members.
        shape: points of the covered grid (lat, lon).
    """

    def __init__(self, field, steps: np.ndarray, number: int, shape: tuple[int, int]):
        self.steps = steps
        levels = len(field.levels)
        self._sum = np.zeros((len(steps), number, levels, *shape))
        self._weight = np.zeros((len(steps), levels, *shape))

    def add(self, hidden, members, weight, rows, columns) -> None:
        """Adds the hidden points of a window.

        Args:
            hidden: bool (level, time, lat, lon).
            members: physical values (member, level, time, lat, lon).
            weight: (lat, lon) of its points.
            rows: (lat,) where they lie on the canvas.
            columns: (lon,) likewise.
        """
        share = np.moveaxis(hidden[:, self.steps], 1, 0) * weight
        values = np.moveaxis(members[:, :, self.steps], 2, 0)
        place = (..., rows[:, None], columns)
        self._weight[place] += share
        self._sum[place] += values * share[:, None]

    @property
    def hidden(self) -> np.ndarray:
        """Where something was predicted, bool (lead, level, lat, lon)."""
        return self._weight > 0

    def members(self) -> np.ndarray:
        """Returns (lead, member, level, lat, lon) float32, NaN where nothing was predicted.

        The canvas is used up by that.
        """
        with np.errstate(invalid="ignore", divide="ignore"):
            np.divide(self._sum, self._weight[:, None], out=self._sum)
        return self._sum.astype(np.float32)


def spread(members, axis: int = 0):
    """Returns the standard deviation of the members (ddof = 1); 0 of a single one."""
    number = members.shape[axis]
    return members.std(axis=axis, ddof=min(1, number - 1), dtype=np.float64)


def mean_and_spread(name: str, members: xr.Variable) -> dict[str, xr.Variable]:
    """Returns a variable `name`, the mean over `number`, and `<name>_spread`, labelled."""
    axis, title = members.get_axis_num("number"), members.attrs["long_name"]
    reduced = {
        "mean": members.values.mean(axis=axis, dtype=np.float64),
        "standard_deviation": spread(members.values, axis),
    }
    dims, found = [d for d in members.dims if d != "number"], {}
    for label, (method, values) in zip((name, f"{name}_spread"), reduced.items(), strict=True):
        words = f"{title}, {method.replace('_', ' ')} of the members"
        attributes = members.attrs | {"long_name": words, "cell_methods": f"number: {method}"}
        found[label] = xr.Variable(dims, values.astype(np.float32), attributes)
    return found


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

    points = ("latitude", "longitude")

    store: Store
    stores: dict[str, Store]
    tiling: Tiling
    hours: Hours
    fields: list
    attributes: dict

    @property
    def window(self):
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
        """Returns an empty canvas for a field of so many members."""
        return Canvas(field, self.hours.shown, number, self.tiling.shape)

    def dataset(self, start: int, canvases: dict[str, Canvas], *, members, hidden) -> xr.Dataset:
        """Returns the prediction of the windows that start at an index of the store.

        Args:
            start: the index.
            canvases: field -> its canvas, complete; used up.
            members: whether to give all members; else their mean and spread.
            hidden: whether to give what was hidden.
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
        attributes = {"long_name": f"whether {field.name.replace('_', ' ')} was hidden"}
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
        """Returns latitudes and longitudes of the covered grid, longitudes without a jump."""
        latitude = self.store.latitude[self.tiling.rows.points]
        return latitude, without_jump(self.store.longitude[self.tiling.columns.points])

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
