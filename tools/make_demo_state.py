"""Spins up the demo atmosphere and writes the state that is shipped with the package.

    python tools/make_demo_state.py [--days 400] [--seed 0] [--output FILE]

Starts from an isothermal, dry atmosphere at rest with a bump of 50 hPa in the surface pressure and
integrates until the kinetic energy fluctuates about a steady mean (after some 150 days). Prints
every tenth day. Takes about 5 minutes on 2 cores.
"""

import argparse
from importlib.metadata import version
from pathlib import Path

import numpy as np

from atmorep_k.data.demo.atmosphere import Atmosphere
from atmorep_k.data.demo.simulate import save_state

_OUTPUT = Path(__file__).parents[1] / "atmorep_k" / "data" / "demo" / "demo_state.npz"


def _report(day: int, atmosphere: Atmosphere, fields: dict[str, np.ndarray]) -> None:
    u, v = fields["u_component_of_wind"], fields["v_component_of_wind"]
    eddy_u, eddy_v = u - u.mean(-1, keepdims=True), v - v.mean(-1, keepdims=True)
    total = atmosphere.global_mean((u**2 + v**2) / 2).mean()
    eddy = atmosphere.global_mean((eddy_u**2 + eddy_v**2) / 2).mean()
    temperature = atmosphere.global_mean(fields["temperature"]).mean()
    print(
        f"day {day:4d}: kinetic energy {total:6.1f} J/kg, of eddies {eddy:6.1f} J/kg, "
        f"temperature {temperature:6.2f} K, strongest wind {np.abs(u).max():5.1f} m/s",
        flush=True,
    )


def main() -> None:
    """Integrates and writes the state."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--days", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=_OUTPUT)
    options = parser.parse_args()
    atmosphere = Atmosphere()
    state = atmosphere.rest_state(options.seed)
    for day in range(1, options.days + 1):
        for _ in range(24):
            state = atmosphere.advance(state)
        if day % 10 == 0 or day == options.days:
            _report(day, atmosphere, atmosphere.fields(state))
    note = (
        f"{options.days} days of the Atmosphere of atmorep_k.data.demo from "
        f"rest_state({options.seed}), dinosaur-dycore {version('dinosaur-dycore')}; "
        f"made by tools/make_demo_state.py"
    )
    save_state(options.output, state, note)
    print(f"{options.output}: {options.output.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
