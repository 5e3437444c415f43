"""Power by total wavenumber."""

import numpy as np

from atmorep_k.earth import spherical
from atmorep_k.evaluation.predictions.spectra import Spectra


def spherical_power(values: np.ndarray, rings: str) -> np.ndarray:
    """Return the power (total wavenumber,) of values (lat, lon) on the sphere.

    sum_m |a_lm|^2 / (4 pi) with orthonormal spherical harmonics: where the grid resolves all of
    the values, the sum over l is their mean square by area (Parseval).

    Args:
        values: on a global grid; for the power it is the same from which pole rows begin and at
            which meridian columns do.
        rings: the rows, see `spherical.geometry`.
    """
    largest = spherical.wavenumber(rings, *values.shape)
    grid = np.ascontiguousarray(values[None], np.float64)
    found = spherical.library().sht.analysis_2d(map=grid, spin=0, lmax=largest, geometry=rings)
    # Coefficients come by m, then l; those of m > 0 stand for -m, too.
    power = np.abs(found[0]) ** 2
    power[largest + 1 :] *= 2
    degree = np.concatenate([np.arange(m, largest + 1) for m in range(largest + 1)])
    return np.bincount(degree, power) / (4 * np.pi)


class SphericalSpectra(Spectra):
    """Spectra of the whole sphere, of levels on which all points count.

    Args:
        models: as in `Spectra`.
        rings: the rows of the grid, see `spherical.geometry`.
        shape: (level, lead).
        grid: numbers of rows and columns.
    """

    def __init__(self, models, rings: str, shape: tuple[int, int], grid: tuple[int, int]):
        super().__init__(models, shape, spherical.wavenumber(rings, *grid) + 1)
        self._rings = rings

    def power_of(self, values):
        """Return the power of each level."""
        return np.stack([spherical_power(level, self._rings) for level in values])[:, None]

    def weight_of(self, counted):
        """Return 1 where a level is whole."""
        return counted.all(axis=(1, 2)).astype(np.float64)[:, None]


def rings_of(latitude: np.ndarray, longitude: np.ndarray) -> str:
    """Return what `spherical.geometry` does, whichever pole and meridian a grid begins with."""
    return spherical.geometry(np.sort(latitude)[::-1], np.unwrap(longitude, period=360.0))
