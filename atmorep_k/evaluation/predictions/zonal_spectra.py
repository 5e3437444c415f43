"""Power by zonal wavenumber."""

import numpy as np

from atmorep_k.evaluation.predictions.spectra import Spectra


def zonal_power(values: np.ndarray) -> np.ndarray:
    """Return the power (..., wavenumber) of values (..., lon) on a circle of latitude.

    |c_k|^2 for k = 0 and half the number of points, else 2 |c_k|^2, with Fourier coefficients
    c_k = 1/n sum_j x_j exp(-2 pi i j k / n): the sum over k is the mean square on the circle
    (Parseval).
    """
    number = values.shape[-1]
    power = np.abs(np.fft.rfft(values, norm="forward")) ** 2
    power[..., 1 : (number + 1) // 2] *= 2
    return power


class ZonalSpectra(Spectra):
    """Spectra of circles of latitude, which count by area.

    Args:
        models: as in `Spectra`.
        area: (lat,) weight of rows.
        shape: (level, lead).
        columns: points of a circle.
    """

    def __init__(self, models, area: np.ndarray, shape: tuple[int, int], columns: int):
        super().__init__(models, shape, columns // 2 + 1)
        self._area = area

    def power_of(self, values):
        """Return the power of each circle."""
        return zonal_power(values)

    def weight_of(self, counted):
        """Return the areas of whole circles."""
        return counted.all(axis=-1) * self._area
