"""The embedded atmosphere against closed forms and an independent spectral calculation in NumPy."""

import numpy as np
import pytest

from atmorep_k.data.demo import simulate
from atmorep_k.data.demo.atmosphere import (
    HUMIDITY,
    NUM_LEVELS,
    SURFACE_PRESSURE,
    saturation_humidity,
)

RADIUS = 6.37122e6  # metres, as in the library
HOURS = 6


@pytest.fixture(scope="module")
def atmosphere():
    return simulate._atmosphere()


@pytest.fixture(scope="module")
def states(atmosphere):
    states = [simulate.initial_state()]
    for _ in range(HOURS):
        states.append(atmosphere.advance(states[-1]))
    return states


@pytest.fixture(scope="module")
def fields(atmosphere, states):
    return [atmosphere.fields(state) for state in states]


def _gradient(values, latitude):
    """Derivatives by longitude, and by latitude times cos(latitude), of (..., lat, lon) values.

    Fourier series in longitude; in latitude, polynomials of sin(latitude) through the Gaussian
    points, times cos(latitude) where the zonal wavenumber is odd.
    """
    num_lon = values.shape[-1]
    mu = np.sin(np.deg2rad(latitude))
    cos = np.sqrt(1 - mu**2)[:, None]
    waves = np.fft.rfft(np.asarray(values, np.float64), axis=-1)
    number = np.arange(waves.shape[-1])
    east = np.fft.irfft(1j * number * waves, num_lon)
    odd = number % 2 == 1
    polynomial = np.where(odd, waves / cos, waves)
    fit = np.polynomial.legendre.legvander(mu, len(mu) - 1)
    slope = np.stack([_derivative_of_legendre(n, mu) for n in range(len(mu))], axis=-1)
    by_mu = (slope @ np.linalg.inv(fit)) @ polynomial
    odd_part = cos**2 * by_mu - mu[:, None] * polynomial
    north = np.where(odd, cos * odd_part, cos**2 * by_mu)
    return east, np.fft.irfft(north, num_lon)


def _derivative_of_legendre(degree, mu):
    coefficients = np.eye(degree + 1)[degree]
    return np.polynomial.legendre.legval(mu, np.polynomial.legendre.legder(coefficients))


def _close(actual, desired, tolerance):
    np.testing.assert_allclose(actual, desired, rtol=0, atol=tolerance * np.abs(desired).max())


def test_gradient_of_the_tests_own_calculation(atmosphere):
    mu = np.sin(np.deg2rad(atmosphere.latitude))[:, None]
    longitude = np.deg2rad(atmosphere.longitude)
    cos = np.sqrt(1 - mu**2)
    values = cos**3 * mu * np.cos(3 * longitude) + mu**2
    east, north = _gradient(values, atmosphere.latitude)
    _close(east, -3 * cos**3 * mu * np.sin(3 * longitude), 1e-10)
    expected = (cos**5 - 3 * mu**2 * cos**3) * np.cos(3 * longitude) + 2 * mu * cos**2
    _close(north, expected, 1e-10)


@pytest.mark.parametrize("hour", [0, HOURS])
def test_vorticity_and_divergence_are_those_of_the_wind(atmosphere, fields, hour):
    latitude = atmosphere.latitude
    cos = np.cos(np.deg2rad(latitude))[:, None]
    u_east, u_north = _gradient(fields[hour]["u_component_of_wind"] * cos, latitude)
    v_east, v_north = _gradient(fields[hour]["v_component_of_wind"] * cos, latitude)
    _close(fields[hour]["vorticity"], (v_east - u_north) / (RADIUS * cos**2), 1e-3)
    _close(fields[hour]["divergence"], (u_east + v_north) / (RADIUS * cos**2), 1e-3)


def _divergent_state(atmosphere, profile):
    """A state whose divergence has one pattern, times `profile`, over a uniform pressure."""
    rest = atmosphere.rest_state()
    divergence = np.zeros_like(rest.divergence)
    divergence[:, 3, 5] = np.asarray(profile) * 1e-2
    pressure = rest.log_surface_pressure * 0
    pressure[0, 0, 0] = rest.log_surface_pressure[0, 0, 0]
    return rest.replace(divergence=divergence, log_surface_pressure=pressure)


def test_vertical_velocity_of_uniform_divergence(atmosphere):
    fields = atmosphere.fields(_divergent_state(atmosphere, np.ones(NUM_LEVELS)))
    assert fields["divergence"].max() > 0
    sigma = atmosphere.level[:, None, None] / 1000
    expected = -fields["surface_pressure"] * sigma * fields["divergence"]
    _close(fields["vertical_velocity"], expected, 1e-5)


def test_air_rises_below_divergence_aloft(atmosphere):
    fields = atmosphere.fields(_divergent_state(atmosphere, [1, 0, 0, 0, -1]))
    expected = -fields["surface_pressure"][0] * fields["divergence"][0] / NUM_LEVELS
    for level in (1, 2, 3):
        _close(fields["vertical_velocity"][level], expected, 1e-5)
    _close(fields["vertical_velocity"][0], expected / 2, 1e-5)
    _close(fields["vertical_velocity"][4], expected / 2, 1e-5)


def test_mass_is_conserved(atmosphere, fields):
    for values in fields:
        mean = atmosphere.global_mean(values["surface_pressure"])
        np.testing.assert_allclose(mean, SURFACE_PRESSURE, rtol=1e-5)


def test_mass_that_drifted_is_put_right(atmosphere, states):
    heavier = np.array(states[0].log_surface_pressure)
    heavier[0, 0, 0] *= 1.001
    state = states[0].replace(log_surface_pressure=heavier)
    before = atmosphere.global_mean(atmosphere.fields(state)["surface_pressure"])
    assert before > 1.01 * SURFACE_PRESSURE
    after = atmosphere.global_mean(atmosphere.fields(atmosphere.advance(state))["surface_pressure"])
    np.testing.assert_allclose(after, SURFACE_PRESSURE, rtol=1e-5)


def test_global_mean_of_a_closed_form(atmosphere):
    mu = np.sin(np.deg2rad(atmosphere.latitude))[:, None]
    values = 3 + (mu + 7 * mu**4) * np.ones(len(atmosphere.longitude))
    assert atmosphere.global_mean(values) == pytest.approx(3 + 7 / 5, rel=1e-10)


def test_atmosphere_at_rest_stays_at_rest_but_for_the_bump(atmosphere):
    rest = atmosphere.rest_state()
    flat = rest.replace(log_surface_pressure=rest.log_surface_pressure * 0)
    flat.log_surface_pressure[0, 0, 0] = rest.log_surface_pressure[0, 0, 0]
    after = atmosphere.fields(atmosphere.advance(flat))
    # The forcing is zonally symmetric, so that nothing may vary along a circle of latitude.
    for name in ("temperature", "u_component_of_wind", HUMIDITY):
        assert np.ptp(after[name], axis=-1).max() <= 1e-4 * np.abs(after[name]).max()
    assert np.abs(after["v_component_of_wind"]).max() < 1
    bumped = atmosphere.fields(atmosphere.advance(rest))
    assert np.abs(bumped["v_component_of_wind"]).max() > 1


def test_physical_ranges(atmosphere, fields):
    for values in fields:
        assert np.all((values["temperature"] > 185) & (values["temperature"] < 315))
        assert np.abs(values["u_component_of_wind"]).max() < 100
        assert np.abs(values["v_component_of_wind"]).max() < 80
        assert np.abs(values["vertical_velocity"]).max() < 2
        assert np.abs(values["vorticity"]).max() < 3e-4
        assert np.all((values["surface_pressure"] > 9e4) & (values["surface_pressure"] < 1.06e5))


def test_start_state_has_jets_and_eddies(atmosphere, fields):
    u = fields[0]["u_component_of_wind"][1]
    latitude = atmosphere.latitude
    for hemisphere in (latitude > 0, latitude < 0):
        jet = u.mean(-1)[hemisphere]
        assert 20 < jet.max() < 45
        assert 30 < abs(latitude[hemisphere][jet.argmax()]) < 60
    eddies = fields[0]["v_component_of_wind"] - fields[0]["v_component_of_wind"].mean(-1)[..., None]
    energy = atmosphere.global_mean(eddies**2 / 2)
    assert np.all(energy[1:] > 5)


def test_no_noise_at_the_scale_of_the_grid(fields):
    for name in ("vorticity", "divergence"):
        power = (np.abs(np.fft.rfft(fields[HOURS][name], axis=-1)) ** 2).mean((0, 1))
        assert power[24:].sum() < 0.01 * power[1:].sum()


def test_weather_moves_and_has_memory(fields):
    first, last = fields[0]["vorticity"][1], fields[HOURS]["vorticity"][1]
    assert 0.5 < np.corrcoef(first.ravel(), last.ravel())[0, 1] < 0.99


def test_humidity_lies_between_zero_and_saturation(atmosphere, fields):
    sigma = atmosphere.level[:, None, None] / 1000
    for values in fields:
        pressure = sigma * values["surface_pressure"]
        saturation = saturation_humidity(values["temperature"].astype(np.float64), pressure)
        assert np.all(values[HUMIDITY] >= 0)
        assert np.all(values[HUMIDITY] <= saturation * (1 + 1e-4))
    means = atmosphere.global_mean(fields[0][HUMIDITY])
    assert np.all(np.diff(means) > 0), "humidity falls with height"
    assert np.mean(fields[0][HUMIDITY] == 0) < 0.02, "few negative values are clipped"


def test_humidity_does_not_act_on_the_atmosphere(atmosphere, states):
    dry = states[0].replace(tracers={HUMIDITY: states[0].tracers[HUMIDITY] * 0})
    after = atmosphere.advance(dry)
    np.testing.assert_array_equal(after.vorticity, states[1].vorticity)


@pytest.mark.parametrize(
    ("celsius", "hectopascal"), [(0.0, 6.112), (20.0, 23.37), (-40.0, 0.1891), (30.0, 42.43)]
)
def test_saturation_against_tables(celsius, hectopascal):
    """Vapour pressures over water of the Smithsonian Meteorological Tables."""
    expected = 0.622 * hectopascal / 1000
    assert saturation_humidity(celsius + 273.15, 1e5) == pytest.approx(expected, rel=5e-3)
