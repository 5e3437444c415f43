"""The equations of the embedded atmosphere, integrated with the library `dinosaur`.

Dry primitive equations, T31 (96 x 48 Gaussian grid points), five sigma layers, with the forcing of
Held and Suarez (1994, doi:10.1175/1520-0477(1994)075<1825:APFTIO>2.0.CO;2): relaxation to a zonally
symmetric equilibrium temperature and friction near the surface. The library's implicit-explicit
Runge-Kutta steps (SIL3) of 20 minutes are followed by its hyperdiffusion: of all fields by the
fourth power of the Laplacian (1.5 h on the smallest scale), of the divergence also by the second
(1 h), without which gravity waves of the size of the grid are visible in the tropics.

Humidity is a toy: a passive tracer that knows temperature but does not act on it. In the lowest
layer it tends to 80 % of saturation within 24 h where it is drier; what exceeds saturation, or is
below zero by the truncation of the spectrum, goes within 3 h. Values given to a user are clipped to
0..saturation.
"""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import jax
    from dinosaur.primitive_equations import DiagnosticState, State

NUM_LEVELS = 5
SURFACE_PRESSURE = 1.0e5  # Pa, its global mean, always
HUMIDITY = "specific_humidity"

_STEPS_PER_HOUR = 3
_DIFFUSION_HOURS = 1.5
_DIFFUSION_ORDER = 4
_DAMPING_HOURS = 1.0
_DAMPING_ORDER = 2
_EVAPORATION_HOURS = 24.0
_CONDENSATION_HOURS = 3.0
_SURFACE_RELATIVE_HUMIDITY = 0.8


def saturation_humidity(temperature, pressure):
    """Returns specific humidity at saturation over water, kg kg-1.

    Bolton (1980, doi:10.1175/1520-0493(1980)108<1046:TCOEPT>2.0.CO;2), eq. 10, with q = 0.622 e/p.

    Args:
        temperature: K, NumPy or JAX.
        pressure: Pa, of a shape that broadcasts.
    """
    celsius = temperature - 273.15
    return 0.622 * 611.2 * np.e ** (17.67 * celsius / (celsius + 243.5)) / pressure


@contextlib.contextmanager
def _single_precision_on_cpu() -> Iterator[None]:
    """The same numbers whatever the program around it has set up for its own use of JAX."""
    import jax

    if hasattr(jax, "enable_x64"):
        single = jax.enable_x64(False)
    else:  # in older versions of JAX
        from jax.experimental import disable_x64

        single = disable_x64()
    with jax.default_device(jax.local_devices(backend="cpu")[0]), single:
        yield


@dataclasses.dataclass(frozen=True)
class _Units:
    """SI values of the library's units, and the library's value of an hour."""

    per_second: float
    kelvin: float
    metre_per_second: float
    pascal: float
    hour: float

    @classmethod
    def of(cls, specs) -> "_Units":
        from dinosaur import scales

        def si(name: str) -> float:
            return float(specs.dimensionalize(1.0, scales.units(name)).magnitude)

        return cls(
            per_second=si("1/second"),
            kelvin=si("kelvin"),
            metre_per_second=si("meter/second"),
            pascal=si("pascal"),
            hour=float(specs.nondimensionalize(1.0 * scales.units.hour)),
        )


class Atmosphere:
    """The embedded atmosphere, integrated on the CPU in float32.

    A state is the library's: spherical harmonics `(level, zonal, total wavenumber)` of vorticity,
    divergence, temperature less its reference, logarithm of surface pressure, and the tracer.
    """

    def __init__(self):
        import jax
        from dinosaur import coordinate_systems, sigma_coordinates, spherical_harmonic
        from dinosaur.primitive_equations import PrimitiveEquationsSpecs

        with _single_precision_on_cpu():
            self._specs = PrimitiveEquationsSpecs.from_si()
            self._units = _Units.of(self._specs)
            self._grid = spherical_harmonic.Grid.T31(radius=self._specs.radius)
            self._layers = sigma_coordinates.SigmaCoordinates.equidistant(NUM_LEVELS)
            self._coords = coordinate_systems.CoordinateSystem(self._grid, self._layers)
            self._sigma = self._layers.centers.astype(np.float32)[:, None, None]
            self._rest, self._reference_temperature = self._rest_atmosphere()
            self._hour = jax.jit(self._one_hour())
            self._diagnose = jax.jit(self._fields)

    @property
    def level(self) -> np.ndarray:
        """`(level,)` 1000 times sigma, nominal hPa."""
        return np.round(1000 * self._layers.centers, 6)

    @property
    def latitude(self) -> np.ndarray:
        """`(latitude,)` Gaussian latitudes in degrees, from north to south."""
        return np.rad2deg(self._grid.latitudes)[::-1]

    @property
    def longitude(self) -> np.ndarray:
        """`(longitude,)` degrees, from 0."""
        return np.rad2deg(self._grid.longitudes)

    def rest_state(self, seed: int = 0) -> "State":
        """Returns a dry atmosphere of 288 K at rest with a bump of 50 hPa in surface pressure."""
        import jax

        with _single_precision_on_cpu():
            state = self._rest(jax.random.PRNGKey(seed))
            state.tracers = {HUMIDITY: state.vorticity * 0}
            return jax.tree.map(lambda x: np.asarray(x, np.float32), state)

    def advance(self, state: "State") -> "State":
        """Returns the state an hour later."""
        with _single_precision_on_cpu():
            return self._hour(state)

    def fields(self, state: "State") -> dict[str, np.ndarray]:
        """Returns the fields of a state in SI units, by their names in a store.

        Returns:
            `(level, latitude, longitude)` float32, from north to south. With it comes
            `surface_pressure`, whose level axis has size 1.
        """
        with _single_precision_on_cpu():
            values = self._diagnose(state)
        return {name: np.asarray(value, np.float32) for name, value in values.items()}

    def global_mean(self, values: np.ndarray) -> np.ndarray:
        """Returns the area mean over the last two axes (latitude, longitude), in float64."""
        means = np.asarray(values, np.float64).mean(-1)
        return (means * self._area_weights()[0, ::-1]).sum(-1) / self._area_weights()[0].sum()

    def _area_weights(self) -> np.ndarray:
        """Gaussian weights, (longitude, latitude) as the library has it, from south to north."""
        weights = np.broadcast_to(self._grid.quadrature_weights, self._grid.nodal_shape)
        return weights / weights.sum()

    def _rest_atmosphere(self):
        from dinosaur import primitive_equations_states, scales, xarray_utils

        pascal = scales.units.pascal
        rest, features = primitive_equations_states.isothermal_rest_atmosphere(
            self._coords, self._specs, p0=SURFACE_PRESSURE * pascal, p1=5e3 * pascal
        )
        return rest, features[xarray_utils.REF_TEMP_KEY]

    def _one_hour(self) -> Callable[["State"], "State"]:
        from dinosaur import time_integration

        dt = self._units.hour / _STEPS_PER_HOUR
        step = time_integration.imex_rk_sil3(self._equation(), dt)
        step = time_integration.step_with_filters(step, [self._diffusion(dt), self._damping(dt)])
        hour = time_integration.repeated(step, _STEPS_PER_HOUR)
        return lambda state: self._fix_mass(hour(state))

    def _diffusion(self, dt: float):
        from dinosaur.time_integration import horizontal_diffusion_step_filter

        tau = _DIFFUSION_HOURS * self._units.hour
        return horizontal_diffusion_step_filter(self._grid, dt, tau, _DIFFUSION_ORDER)

    def _damping(self, dt: float):
        """Diffusion of the divergence alone: gravity waves of the size of the grid are noise."""
        from dinosaur.time_integration import horizontal_diffusion_step_filter

        tau = _DAMPING_HOURS * self._units.hour
        diffusion = horizontal_diffusion_step_filter(self._grid, dt, tau, _DAMPING_ORDER)
        return lambda old, new: new.replace(divergence=diffusion(old, new).divergence)

    def _equation(self):
        from dinosaur import time_integration
        from dinosaur.held_suarez import HeldSuarezForcing
        from dinosaur.primitive_equations import PrimitiveEquations

        common = {
            "coords": self._coords,
            "physics_specs": self._specs,
            "reference_temperature": self._reference_temperature,
        }
        flat = np.zeros(self._grid.modal_shape, np.float32)
        forcing = time_integration.ExplicitODE.from_functions(
            functools.partial(self._forcing, HeldSuarezForcing(**common))
        )
        dynamics = PrimitiveEquations(orography=flat, **common)
        return time_integration.compose_equations([dynamics, forcing])

    def _forcing(self, held_suarez, state: "State") -> "State":
        """Tendencies by Held and Suarez, and those of the tracer that are not its advection."""
        from dinosaur.primitive_equations import compute_diagnostic_state

        diagnostic = compute_diagnostic_state(state, self._coords)
        pressure = self._sigma * self._surface_pressure(state)
        humidity = self._upwind_correction(diagnostic) + self._humidity_source(diagnostic, pressure)
        tendency = held_suarez.explicit_terms(state)
        tendency.tracers = {HUMIDITY: self._grid.to_modal(humidity)}
        return tendency

    def _humidity_source(self, diagnostic: "DiagnosticState", pressure: "jax.Array"):
        """Evaporation in the lowest layer, condensation above saturation, no negative values."""
        import jax.numpy as jnp

        humidity = diagnostic.tracers[HUMIDITY]
        saturation = saturation_humidity(self._temperature(diagnostic), pressure)
        excess = humidity - jnp.clip(humidity, 0, saturation)
        lowest = (np.arange(NUM_LEVELS) == NUM_LEVELS - 1)[:, None, None]
        deficit = jnp.maximum(_SURFACE_RELATIVE_HUMIDITY * saturation - humidity, 0) * lowest
        per_hour = deficit / _EVAPORATION_HOURS - excess / _CONDENSATION_HOURS
        return per_hour / self._units.hour

    def _upwind_correction(self, diagnostic: "DiagnosticState"):
        """Upwind less centred vertical advection of the tracer.

        The library advects with centred differences, which overshoot below zero where humidity
        falls by a factor of ten from layer to layer; upwind differences do not.
        """
        from dinosaur import sigma_coordinates

        arguments = diagnostic.sigma_dot_full, diagnostic.tracers[HUMIDITY], self._layers
        upwind = sigma_coordinates.upwind_vertical_advection(*arguments)
        return upwind - sigma_coordinates.centered_vertical_advection(*arguments)

    def _fix_mass(self, state: "State") -> "State":
        """Scales the surface pressure to its global mean, which drifts as its log is advected."""
        import jax.numpy as jnp

        mean = (self._surface_pressure(state) * self._area_weights()).sum()
        uniform = self._grid.to_modal(np.ones(self._grid.nodal_shape, np.float32))
        state.log_surface_pressure += uniform * jnp.log(SURFACE_PRESSURE / mean)
        return state

    def _surface_pressure(self, state: "State"):
        import jax.numpy as jnp

        return jnp.exp(self._grid.to_nodal(state.log_surface_pressure)) * self._units.pascal

    def _temperature(self, diagnostic: "DiagnosticState"):
        reference = self._reference_temperature[:, None, None]
        return (diagnostic.temperature_variation + reference) * self._units.kelvin

    def _fields(self, state: "State") -> dict[str, Any]:
        import jax.numpy as jnp
        from dinosaur.primitive_equations import compute_diagnostic_state

        units, diagnostic = self._units, compute_diagnostic_state(state, self._coords)
        surface_pressure, temperature = self._surface_pressure(state), self._temperature(diagnostic)
        saturation = saturation_humidity(temperature, self._sigma * surface_pressure)
        u, v = (x / self._grid.cos_lat for x in diagnostic.cos_lat_u)
        fields = {
            "vorticity": diagnostic.vorticity * units.per_second,
            "divergence": diagnostic.divergence * units.per_second,
            "temperature": temperature,
            "u_component_of_wind": u * units.metre_per_second,
            "v_component_of_wind": v * units.metre_per_second,
            "vertical_velocity": surface_pressure * units.per_second * self._omega(diagnostic),
            "specific_humidity": jnp.clip(diagnostic.tracers[HUMIDITY], 0, saturation),
            "surface_pressure": surface_pressure,
        }
        return {name: jnp.swapaxes(x, -1, -2)[..., ::-1, :] for name, x in fields.items()}

    def _omega(self, diagnostic: "DiagnosticState"):
        """Dp/Dt over the surface pressure p_s, from the continuity equation.

        omega / p_s = sigma v . grad(ln p_s) - integral of G over sigma from 0 to sigma, with
        G = divergence + v . grad(ln p_s); at the middle of a layer half of its own G counts.
        """
        from dinosaur.sigma_coordinates import cumulative_sigma_integral

        advection = diagnostic.u_dot_grad_log_sp
        growth = diagnostic.divergence + advection
        above = cumulative_sigma_integral(growth, self._layers)
        half = growth * self._layers.layer_thickness[:, None, None] / 2
        return self._sigma * advection - (above - half)
