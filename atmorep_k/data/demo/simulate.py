"""The embedded demo data: hours of a simulated atmosphere, in a store like any other.

The atmosphere of `atmorep_k.data.demo.atmosphere` has jets, fronts and travelling weather, but no
seasons, no day and night, no mountains, no clouds and no rain. It starts from a state that is
shipped with the package (made by `tools/make_demo_state.py`), long past its spin-up.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from atmorep_k.data.demo.atmosphere import HUMIDITY, Atmosphere
from atmorep_k.data.stores.layout import StoreDescription
from atmorep_k.data.writing.write_store import is_store, write_store
from atmorep_k.earth.variables import VariableInfo, variable_info
from atmorep_k.errors import UserError
from atmorep_k.files import check_output

if TYPE_CHECKING:
    from dinosaur.primitive_equations import State

VARIABLES = (
    "vorticity",
    "divergence",
    "temperature",
    "u_component_of_wind",
    "v_component_of_wind",
    "vertical_velocity",
    "specific_humidity",
)
START = np.datetime64("2000-01-01T00", "h")
DAYS = 20

_HOURS_PER_BLOCK = 24
_STATE_FILE = "demo_state.npz"
_STATE_ARRAYS = ("vorticity", "divergence", "temperature_variation", "log_surface_pressure")
_ATTRIBUTES = {
    "title": "Simulated Held-Suarez atmosphere (demo of atmorep_k)",
    "source": (
        "Simulation with the dynamical core dinosaur (dry primitive equations, T31, 5 sigma "
        "layers), forced as by Held and Suarez (1994); neither an observation nor a reanalysis"
    ),
    "attribution": "made by atmorep_k with dinosaur-dycore; Held and Suarez (1994), BAMS 75, 1825",
    "simulated": True,
    "level_type": "pressure",
    "comment": (
        "Simulated, not observed. The level coordinate is 1000 times sigma (pressure over surface "
        "pressure) at the middle of the layer: nominal hPa. Times are nominal: the atmosphere has "
        "no seasons and no day and night. vertical_velocity is Dp/Dt by the continuity equation. "
        "specific_humidity is a toy: a passive tracer that evaporates in the lowest layer and "
        "condenses at saturation, clipped to 0..saturation."
    ),
}


@functools.cache
def _atmosphere() -> Atmosphere:
    """One for the whole process, as its compilation takes seconds."""
    return Atmosphere()


def initial_state(path: Path | None = None) -> "State":
    """Reads the spun-up state that is shipped with the package, or one that `save_state` wrote."""
    from dinosaur.primitive_equations import State

    place = path or resources.files("atmorep_k.data.demo").joinpath(_STATE_FILE)
    with place.open("rb") as file, np.load(file) as arrays:
        state = {name: arrays[name] for name in _STATE_ARRAYS}
        return State(**state, tracers={HUMIDITY: arrays[HUMIDITY]})


def save_state(path: Path, state: "State", note: str) -> None:
    """Writes a state as compressed float32 arrays, with a note on how it was made."""
    arrays = {name: getattr(state, name) for name in _STATE_ARRAYS}
    arrays[HUMIDITY] = state.tracers[HUMIDITY]
    arrays = {name: np.asarray(values, np.float32) for name, values in arrays.items()}
    np.savez_compressed(path, **arrays, note=note)


def simulate(hours: int) -> Iterator[dict[str, np.ndarray]]:
    """Integrates from the shipped state, which itself is the first hour given.

    Args:
        hours: number of hours to give.

    Yields:
        `{variable: (time, level, latitude, longitude)}` float32, SI units, up to 24 hours each.
    """
    atmosphere, state = _atmosphere(), initial_state()
    for start in range(0, hours, _HOURS_PER_BLOCK):
        steps = []
        for hour in range(start, min(start + _HOURS_PER_BLOCK, hours)):
            state = atmosphere.advance(state) if hour else state
            steps.append(atmosphere.fields(state))
        yield {name: np.stack([step[name] for step in steps]) for name in VARIABLES}


def demo_description(hours: int) -> StoreDescription:
    """Returns coordinates, variables and attributes of a demo store of so many hours."""
    atmosphere = _atmosphere()
    return StoreDescription(
        time=START + np.arange(hours),
        level=atmosphere.level,
        latitude=atmosphere.latitude,
        longitude=atmosphere.longitude,
        variables={name: _info(name) for name in VARIABLES},
        attributes=dict(_ATTRIBUTES),
    )


def _info(name: str) -> VariableInfo:
    info = variable_info(name)
    assert info is not None, "the table has all variables of the demo"
    if name != HUMIDITY:
        return info
    comment = "a toy: a passive tracer between 0 and saturation, without effect on the atmosphere"
    return dataclasses.replace(info, comment=comment)


def demo_store(
    output: str | Path,
    days: int = DAYS,
    *,
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Path:
    """Simulates some days of the demo atmosphere and stores every hour of them.

    Takes about 10 s, and then 1 to 2 s and 13 MB of disk for each day, on 2 cores; memory does not
    grow with the days. Two calls on the same machine give the same values.

    Args:
        output: directory of the store.
        days: number of days.
        overwrite: replace an existing store.
        progress: called with the number of hours written so far.

    Returns:
        The path of the store.

    Raises:
        UserError: if `days` is less than 1, or the output cannot be written.
    """
    if days < 1:
        raise UserError(f"a demo store needs at least 1 day, not {days}.")
    output = Path(output)
    check_output(output, overwrite, kind="a store", is_ours=is_store)
    hours = 24 * int(days)
    return write_store(
        output, demo_description(hours), simulate(hours), overwrite=overwrite, progress=progress
    )
