import numpy as np
import pytest
from scipy.special import sph_harm_y

from atmorep_k.evaluation.predictions.spherical_spectra import (
    SphericalSpectra,
    rings_of,
    spherical_power,
)

pytest.importorskip("ducc0")

COLUMNS = 24
# Both poles; none, from south to north; Gaussian.
ROWS = {
    "CC": np.linspace(90, -90, 13),
    "F1": 90 - (np.arange(12)[::-1] + 0.5) * 15,
    "GL": np.rad2deg(np.arcsin(np.polynomial.legendre.leggauss(12)[0]))[::-1],
}
LARGEST = 11


def harmonic(latitude, degree, order, number=COLUMNS):
    """Returns sqrt(2) Re Y_lm, for m = 0 Y_l0: mean square 1 / (4 pi)."""
    theta = np.radians(90 - latitude)[:, None]
    phi = np.radians(7 + np.arange(number) * 360 / number)
    return sph_harm_y(degree, order, theta, phi).real * np.sqrt(2 if order else 1)


@pytest.mark.parametrize("rings", ROWS)
def test_a_harmonic_has_its_power_at_its_degree(rings):
    latitude = ROWS[rings]
    longitude = np.roll(np.arange(COLUMNS) * 15.0, 7)
    assert rings_of(latitude, longitude) == rings
    values, expected = np.full((len(latitude), COLUMNS), 2.0), np.zeros(LARGEST + 1)
    expected[0] = 4.0
    for degree, order, size in ((3, 0, 5.0), (7, 2, 3.0), (7, 7, 1.0), (11, 11, 2.0)):
        values = values + size * harmonic(latitude, degree, order)
        expected[degree] += size**2 / (4 * np.pi)
    np.testing.assert_allclose(spherical_power(values, rings), expected, atol=1e-12)


def test_power_adds_up_to_the_mean_square_by_area():
    """With Gaussian weights, which are exact for all that such a grid resolves."""
    rng, latitude = np.random.default_rng(0), ROWS["GL"]
    degrees = [(n, m) for n in range(LARGEST + 1) for m in range(n + 1)]
    values = sum(rng.normal() * harmonic(latitude, *pair) for pair in degrees)
    weight = np.polynomial.legendre.leggauss(12)[1] / 2
    found = spherical_power(values, "GL").sum()
    np.testing.assert_allclose(found, weight @ (values**2).mean(axis=1))


def test_noise_has_as_much_power_at_each_degree_as_it_has_orders():
    """Every coefficient of noise that is white by area has the same variance."""
    rng, rows = np.random.default_rng(0), 48
    weight = np.polynomial.legendre.leggauss(rows)[1] / 2
    found = np.zeros(rows)
    for _ in range(300):
        noise = rng.normal(size=(rows, 96)) / np.sqrt(weight[:, None] * rows)
        found += spherical_power(noise, "GL")
    degree = np.arange(rows)
    relative = found / (2 * degree + 1)
    np.testing.assert_allclose(relative[4:] / relative[4:].mean(), 1, atol=0.15)


def test_levels_count_on_which_all_points_do(make_case):
    case = make_case(counting=2)
    case.weights.counted[0, 4, 7] = False
    spectra = SphericalSpectra(("ensemble", "climatology"), "F1", (2, 1), (11, 12))
    for model in ("ensemble", "climatology"):
        spectra.add(0, model, case)
    mean = spectra.mean()[:, :, 0]
    assert np.isnan(mean[:, 0]).all()
    truth, ensemble, _, members = mean[:, 1]
    np.testing.assert_allclose(truth, spherical_power(case.truth[1], "F1"))
    np.testing.assert_allclose(ensemble, spherical_power(case.members.mean(axis=0)[1], "F1"))
    each = [spherical_power(member[1], "F1") for member in case.members]
    np.testing.assert_allclose(members, np.mean(each, axis=0))
