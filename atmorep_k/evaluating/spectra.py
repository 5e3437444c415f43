"""Power by zonal wavenumber."""

import numpy as np

from atmorep_k.evaluating.case import Case


def zonal_power(values: np.ndarray) -> np.ndarray:
    """Returns the power (..., wavenumber) of values (..., lon) on a circle of latitude.

    |c_k|^2 for k = 0 and half the number of points, else 2 |c_k|^2, with Fourier coefficients
    c_k = 1/n sum_j x_j exp(-2 pi i j k / n): the sum over k is the mean square on the circle
    (Parseval).
    """
    number = values.shape[-1]
    power = np.abs(np.fft.rfft(values, norm="forward")) ** 2
    power[..., 1 : (number + 1) // 2] *= 2
    return power


class ZonalSpectra:
    """Sums of power of the truth and of each forecast; circles count by area.

    Args:
        models: names of the forecasts; the first may be an ensemble, and then the spectra of its
            members are averaged, beside that of their mean.
        area: (lat,) weight of rows.
        shape: (level, lead).
        columns: points of a circle.
    """

    def __init__(self, models, area: np.ndarray, shape: tuple[int, int], columns: int):
        self.names = ["truth", *models, *(["members"] if models[0] == "ensemble" else [])]
        self._area = area
        wavenumbers = columns // 2 + 1
        self.power = {name: np.zeros((*shape, wavenumbers)) for name in self.names}
        self.weight = np.zeros(shape)

    def add(self, lead: int, model: str, case: Case) -> None:
        """Adds one forecast at one lead time; circles count on which all points do."""
        whole = case.counted.all(axis=-1) * self._area
        mean = case.members.mean(axis=0)
        self._add(model, lead, zonal_power(mean), whole)
        if model == "ensemble":
            for member in case.members:
                self._add("members", lead, zonal_power(member) / case.number, whole)
        if model == self.names[1]:
            self._add("truth", lead, zonal_power(case.truth.values), whole)
            self.weight[:, lead] += whole.sum(axis=-1)

    def _add(self, name: str, lead: int, power: np.ndarray, weight: np.ndarray) -> None:
        self.power[name][:, lead] += np.einsum("lyk,ly->lk", power, weight)

    def mean(self) -> np.ndarray:
        """Returns the mean power (name, level, lead, wavenumber), NaN where nothing counted."""
        total = np.stack([self.power[name] for name in self.names])
        weight = np.where(self.weight > 0, self.weight, np.nan)
        return total / weight[..., None]
