"""Vorticity and divergence of one horizontal wind, by spherical harmonics or by differences."""

import functools

import numpy as np

from atmorep_k.errors import UserError, missing_extra

EARTH_RADIUS = 6371229.0  # metres; the sphere of ECMWF's model
_SAME_SPACINGS = 0.02


def library():
    """Returns ducc0, which transforms on the sphere.

    Raises:
        UserError: if it is not installed.
    """
    try:
        import ducc0
    except ImportError as error:
        raise missing_extra("ducc0, which transforms winds of the globe,", "derive") from error
    return ducc0


def geometry(latitude: np.ndarray, longitude: np.ndarray) -> str:
    """Returns ducc0's name for the rows of a global grid that it transforms exactly.

    Args:
        latitude: `(lat,)` degrees from north to south.
        longitude: `(lon,)` degrees, ascending.

    Returns:
        `"CC"` (equidistant, with both poles), `"F1"` (equidistant, half a step from them), `"GL"`
        (Gaussian), or empty for every other grid.
    """
    rows, columns = len(latitude), len(longitude)
    if rows < 4 or columns < 4 or not wraps(longitude):
        return ""
    spacing = 180.0 / rows
    for name, expected in _rings(rows).items():
        if np.abs(latitude - expected).max() < _SAME_SPACINGS * spacing:
            return name
    return ""


def wraps(longitude: np.ndarray) -> bool:
    """Returns whether evenly spaced longitudes go once round the globe."""
    steps = np.diff(longitude, append=longitude[0] + 360.0)
    return len(longitude) > 1 and np.abs(steps - 360.0 / len(longitude)).max() < 1e-3


@functools.lru_cache
def _rings(rows: int) -> dict[str, np.ndarray]:
    gaussian = np.polynomial.legendre.leggauss(rows)[0] if rows < 2000 else np.zeros(rows)
    return {
        "CC": np.linspace(90.0, -90.0, rows),
        "F1": 90.0 - (np.arange(rows) + 0.5) * 180.0 / rows,
        "GL": np.rad2deg(np.arcsin(gaussian))[::-1],
    }


def wavenumber(rings: str, rows: int, columns: int) -> int:
    """Returns the largest total wavenumber that a grid resolves."""
    return min(rows - (2 if rings == "CC" else 1), (columns - 1) // 2)


def spectral(u: np.ndarray, v: np.ndarray, name: str, rings: str) -> np.ndarray:
    """Returns a derivative of the wind on a global grid, by spherical harmonics.

    The wind is analysed into the gradient and the curl of two potentials (harmonics of spin 1);
    the Laplacian multiplies them by -l (l + 1) / radius².

    Args:
        u: `(lat, lon)` eastward wind, m s-1, from north to south.
        v: `(lat, lon)` northward wind.
        name: `"vorticity"` or `"divergence"`.
        rings: what `geometry` returns.

    Returns:
        `(lat, lon)` float64 in s-1.
    """
    sht, (rows, columns) = library().sht, u.shape
    largest = wavenumber(rings, rows, columns)
    # ducc0's first component points along the colatitude, to the south.
    wind = np.stack([-v, u]).astype(np.float64)
    parts = sht.analysis_2d(map=wind, spin=1, lmax=largest, geometry=rings)
    potential = parts[1 if name == "vorticity" else 0]
    size = {"ntheta": rows, "nphi": columns, "geometry": rings}
    scaled = (-potential * _factors(largest) / EARTH_RADIUS)[None]
    return sht.synthesis_2d(alm=scaled, spin=0, lmax=largest, **size)[0]


@functools.lru_cache
def _factors(largest: int) -> np.ndarray:
    """Returns sqrt(l (l + 1)) for coefficients in the order of m, then l."""
    degree = np.concatenate([np.arange(m, largest + 1.0) for m in range(largest + 1)])
    return np.sqrt(degree * (degree + 1.0))


def check_differences(latitude: np.ndarray, longitude: np.ndarray, source: str) -> None:
    """Refuses grids on which differences are not defined.

    Raises:
        UserError: if there are fewer than two rows or columns, or a row at a pole.
    """
    if len(latitude) < 2 or len(longitude) < 2:
        raise UserError(f"{source}: derivatives need at least two rows and two columns.")
    if np.abs(latitude).max() > 90 - 1e-6:
        raise UserError(
            f"{source}: its grid reaches a pole but is not global with equidistant or "
            f"Gaussian rows; differences are not defined there: leave out the row at the pole."
        )


def neighbour_differences(
    u: np.ndarray, v: np.ndarray, name: str, latitude: np.ndarray, longitude: np.ndarray
) -> np.ndarray:
    """Returns a derivative of the wind by centred differences on the sphere.

    They are of second order, also where rows are not evenly spaced; at the edges of a region
    they are one-sided and of first order. Round the globe there are no edges in longitude.

    Args:
        u: `(lat, lon)` eastward wind, m s-1.
        v: `(lat, lon)` northward wind.
        name: `"vorticity"` or `"divergence"`.
        latitude: `(lat,)` degrees, without the poles.
        longitude: `(lon,)` degrees.

    Returns:
        `(lat, lon)` float64 in s-1.
    """
    rows, cosine = np.deg2rad(latitude), np.cos(np.deg2rad(latitude))[:, None]
    along, across = (v, -u) if name == "vorticity" else (u, v)
    eastward = _eastward(along.astype(np.float64), longitude)
    northward = np.gradient(across.astype(np.float64) * cosine, rows, axis=0)
    return (eastward + northward) / (EARTH_RADIUS * cosine)


def _eastward(values: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    if not wraps(longitude):
        return np.gradient(values, np.deg2rad(longitude), axis=1)
    step = 2 * np.pi / len(longitude)
    return (np.roll(values, -1, axis=1) - np.roll(values, 1, axis=1)) / (2 * step)
