"""Another time or level that a model gets in place of that of a window."""

import dataclasses
import functools
from typing import TYPE_CHECKING

import numpy as np

from atmorep_k.batch import TOKEN_INFO, calendar, time_of
from atmorep_k.errors import UserError
from atmorep_k.inference.canvas import mean_and_spread
from atmorep_k.inference.variants import Variants

if TYPE_CHECKING:
    import xarray as xr

_INFO = "/token_info"
_LEVELS = [number for number, name in enumerate(TOKEN_INFO) if name == "level"]
_SURFACE = 0.0
_HOUR = np.timedelta64(3600, "s")
_RANGES = {"year": (1, 9999), "day": (1, 366), "hour": (0, 23)}  # what may be told


@dataclasses.dataclass(frozen=True)
class Told:
    """Another year, day, hour or level for the token information; None leaves what is true.

    The time that names a prediction gets the numbers given and keeps the others, its minutes too.
    All tokens are moved with it, so that they stay as far apart as they are: a window that is told
    to begin late on 31 December ends in the year that follows.

    Args:
        year: the year.
        day: day of the year, from 1.
        hour: hour of the day, UTC.
        level: in the units of the model's levels; for all levels of all fields that have levels.

    Raises:
        UserError: if nothing is given, or a number is out of its range.
    """

    year: int | None = None
    day: int | None = None
    hour: int | None = None
    level: float | None = None

    def __post_init__(self):
        if all(value is None for value in dataclasses.asdict(self).values()):
            raise UserError("give a year, day, hour or level for the model.")
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise UserError(f"the {name} must be {low} to {high}, not {value}.")
        if self.level is not None and not self.level > 0:
            raise UserError(f"the level must be greater than 0, not {self.level:g}.")

    def __str__(self):
        given = {k: v for k, v in dataclasses.asdict(self).items() if v is not None}
        return ", ".join(f"{name} {value:g}" for name, value in given.items())

    def time(self, time: np.datetime64) -> np.datetime64:
        """Return the time that replaces a time, datetime64[s].

        Raises:
            UserError: if the given year has no such day.
        """
        time = time.astype("datetime64[s]")
        midnight, own = time.astype("datetime64[D]"), time.astype("datetime64[Y]")
        year = own if self.year is None else np.datetime64(self.year - 1970, "Y")
        day = (midnight - own.astype("datetime64[D]")).astype(int) + 1
        clock = time - midnight
        if self.hour is not None:
            clock = clock % _HOUR + self.hour * _HOUR
        day = _day(year, int(day if self.day is None else self.day))
        return day.astype("datetime64[s]") + clock

    def change(self, inputs: dict[str, np.ndarray], time: np.datetime64) -> dict[str, np.ndarray]:
        """Return the inputs of a batch with the numbers replaced.

        Args:
            inputs: see `atmorep_k.batch`; left as they are.
            time: that names the prediction.
        """
        shift = self.time(time) - time.astype("datetime64[s]")
        changed = {n: self._changed(a, shift) for n, a in inputs.items() if n.endswith(_INFO)}
        return inputs | changed

    def _changed(self, info: np.ndarray, shift: np.timedelta64) -> np.ndarray:
        info = info.copy()
        info[..., :3] = calendar(time_of(info) + shift)
        if self.level is not None:
            levels = info[..., _LEVELS]
            info[..., _LEVELS] = np.where(levels == _SURFACE, levels, self.level)
        return info


def _day(year: np.datetime64, day: int) -> np.datetime64:
    found = year.astype("datetime64[D]") + (day - 1)
    if found.astype("datetime64[Y]") != year:
        raise UserError(f"the year {year} has no day {day}.")
    return found


def variants(told: Told, task: str) -> Variants:
    """Returns a counterfactual prediction beside the factual one.

    Args:
        told: what the model is given in place of the truth.
        task: what is predicted, for the attributes of the result.
    """
    return Variants({"counterfactual": told.change}, functools.partial(_combined, told, task))


def _combined(told: Told, task: str, found: dict[str, "xr.Dataset"], members: bool) -> "xr.Dataset":
    """Returns the factual and the counterfactual prediction of one time, and their difference."""
    factual, other = found[""], found["counterfactual"]
    variables: dict[str, xr.Variable] = {}
    for name in map(str, factual.data_vars):
        one, two = factual[name].variable, other[name].variable
        title = one.attrs["long_name"]
        two.attrs["long_name"] = f"{title}, given {told}"
        difference = two - one
        # Without a standard name: a difference is not the quantity itself.
        difference.attrs = {"units": one.attrs["units"], "long_name": f"change of {title}"}
        for label, values in {name: one, f"{name}_counterfactual": two}.items():
            variables |= {label: values} if members else mean_and_spread(label, values)
        variables |= mean_and_spread(f"{name}_difference", difference)
    coordinates = {n: c.variable for n, c in factual.coords.items() if members or n != "number"}
    attributes = {**factual.attrs, "predicted": task, "told": str(told)}
    return type(factual)(variables, coordinates, attributes)
