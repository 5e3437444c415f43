"""Vorticity and divergence against closed forms, on every kind of grid, and on real winds."""

import pickle
import sys

import numpy as np
import pytest
from scipy.special import sph_harm_y

from atmorep_k.data.sources.derived import derive
from atmorep_k.data.sources.finding import open_sources
from atmorep_k.data.sources.pieces import Piece
from atmorep_k.earth.spherical import EARTH_RADIUS, geometry, neighbour_differences
from atmorep_k.errors import UserError

OMEGA = 7.292e-5


def _grid(kind, rows=32):
    if kind == "poles":
        latitude = np.linspace(90, -90, rows + 1)
    elif kind == "offset":
        latitude = 90 - (np.arange(rows) + 0.5) * 180 / rows
    elif kind == "gaussian":
        latitude = np.rad2deg(np.arcsin(np.polynomial.legendre.leggauss(rows)[0]))[::-1]
    else:
        latitude = np.linspace(60, 30, rows)
    if kind == "region":
        return latitude, np.linspace(350, 380, rows)
    return latitude, np.arange(0, 360, 180 / rows)


def _potential(latitude, longitude, degree=5, order=3):
    """The real part of a spherical harmonic and its derivatives to north and east (radius 1)."""
    theta, phi = np.deg2rad(90 - latitude)[:, None], np.deg2rad(longitude)[None, :]
    value = sph_harm_y(degree, order, theta, phi)
    small = 1e-4
    change = sph_harm_y(degree, order, theta - small, phi)
    change = (change - sph_harm_y(degree, order, theta + small, phi)) / (2 * small)
    with np.errstate(divide="ignore", invalid="ignore"):
        east = (1j * order * value / np.sin(theta)).real
    # At the poles a harmonic of order 3 has no wind.
    return value.real, np.where(np.sin(theta) < 1e-9, 0, change.real), np.nan_to_num(east)


def _winds(kind, what):
    """Wind (lat, lon) in m s-1, and its vorticity and divergence."""
    latitude, longitude = _grid(kind)
    if what == "solid":
        sine, ones = np.sin(np.deg2rad(latitude))[:, None], np.ones(len(longitude))
        u = OMEGA * EARTH_RADIUS * np.cos(np.deg2rad(latitude))[:, None] * ones
        return u, np.zeros_like(u), 2 * OMEGA * sine * ones, np.zeros_like(u)
    value, north, east = _potential(latitude, longitude)
    laplacian = -5 * 6 * value * 100 / EARTH_RADIUS
    nothing = np.zeros_like(value)
    if what == "streamfunction":
        return -100 * north, 100 * east, laplacian, nothing
    return 100 * east, 100 * north, nothing, laplacian


def _pieces(kind, u, v):
    latitude, longitude = _grid(kind)
    time = np.array(["2020-01-01"], "datetime64[s]")
    axes = (time, np.zeros(0), "", latitude, longitude)

    def piece(name, values):
        return Piece(name, f"{name}.nc", *axes, "m s-1", "", "", {}, _Stored(values))

    return [piece("u", u), piece("v", v)]


class _Stored:
    def __init__(self, values):
        self.values = values.astype(np.float32)[None, None]

    def __call__(self, start, stop, level_index):
        return self.values


@pytest.mark.parametrize("what", ["solid", "streamfunction", "velocity potential"])
@pytest.mark.parametrize("kind", ["poles", "offset", "gaussian", "region"])
def test_closed_forms(kind, what):
    u, v, *expected = _winds(kind, what)
    found = derive(_pieces(kind, u, v), ["vo", "divergence"])[2:]
    assert [p.name for p in found] == ["vorticity", "divergence"]
    if kind != "region":
        pytest.importorskip("ducc0")
    scale = max(np.abs(e).max() for e in expected)
    inner = (slice(1, -1), slice(1, -1)) if kind == "region" else ...
    # A difference over two steps of 1 degree has an error of (5 k step)² / 6 or so.
    tolerance = 1e-2 if kind == "region" else 1e-5
    for piece, values in zip(found, expected, strict=True):
        result = pickle.loads(pickle.dumps(piece)).read(0, 1, np.zeros(1, int))
        assert result.shape == (1, 1, *u.shape) and result.dtype == np.float32
        np.testing.assert_allclose(
            result[0, 0][inner], values[inner], rtol=0, atol=tolerance * scale
        )
        assert piece.units == "s-1"
        assert ("differences" in piece.comment) == (kind == "region")


def test_differences_are_of_second_order_and_first_at_the_edges():
    errors = {}
    for rows in (31, 61):
        latitude, longitude = np.linspace(60, 30, rows), np.linspace(0, 30, rows)
        value, north, east = _potential(latitude, longitude)
        found = neighbour_differences(-north, east, "vorticity", latitude, longitude) * EARTH_RADIUS
        error = np.abs(found + 30 * value)
        errors[rows] = error[1:-1, 1:-1].max(), error.max()
    assert errors[31][0] / errors[61][0] == pytest.approx(4, rel=0.2)
    assert errors[31][1] / errors[61][1] == pytest.approx(2, rel=0.2)


def test_differences_go_round_the_globe():
    latitude, longitude = np.linspace(80, -80, 41), np.arange(0, 360, 4.0)
    assert geometry(latitude, longitude) == ""
    value, north, east = _potential(latitude, longitude)
    found = neighbour_differences(-north, east, "vorticity", latitude, longitude) * EARTH_RADIUS
    turned = neighbour_differences(
        *(np.roll(w, 7, axis=1) for w in (-north, east)), "vorticity", latitude, longitude
    )
    np.testing.assert_allclose(np.roll(found, 7, axis=1), turned * EARTH_RADIUS, atol=1e-9)
    np.testing.assert_allclose(found[1:-1], -30 * value[1:-1], atol=0.05 * np.abs(30 * value).max())


def test_real_winds(shared_data):
    folder = shared_data / "wam2layers"
    sources = [str(p) for n in "uv" for p in folder.glob(f"ERA5_2022-08-31_*_{n}.nc")]
    pieces = derive(open_sources(sources)[0], ["vorticity", "divergence"])
    levels = np.searchsorted(pieces[0].level, [105, 123, 137])
    for piece, expected in zip(pieces[-2:], ([4.0, 4.6, 2.9], [2.6, 3.0, 2.6]), strict=True):
        values = piece.read(0, len(piece.time), levels).astype(np.float64)
        rms = np.sqrt(np.mean(values**2, axis=(0, 2, 3))) * 1e5
        np.testing.assert_allclose(rms, expected, atol=0.15)


def test_mistakes(monkeypatch):
    u, v, *_ = _winds("poles", "solid")
    pieces = _pieces("poles", u, v)
    with pytest.raises(UserError, match="did you mean 'vorticity'"):
        derive(pieces, ["vorticty"])
    with pytest.raises(UserError, match="'v_component_of_wind' is missing"):
        derive(pieces[:1], ["vorticity"])
    with pytest.raises(UserError, match="already contain 'vorticity'"):
        derive(derive(pieces, ["vorticity"]), ["vo"])
    later = _pieces("offset", *_winds("offset", "solid")[:2])
    with pytest.raises(UserError, match="no 'v_component_of_wind' has the times, levels and grid"):
        derive([pieces[0], later[1]], ["vorticity"])
    monkeypatch.setitem(sys.modules, "ducc0", None)
    with pytest.raises(UserError, match=r"atmorep-k\[derive\]"):
        derive(pieces, ["vorticity"])
