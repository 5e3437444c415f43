"""Power by wavenumber of the truth and of each forecast, averaged over times."""

import abc

import numpy as np

from atmorep_k.evaluation.case import Case


class Spectra(abc.ABC):
    """Sums of power of the truth and of each forecast; a subclass defines the waves.

    Args:
        models: names of the forecasts; the first may be an ensemble, and then the spectra of its
            members are averaged, beside that of their mean.
        shape: (level, lead).
        wavenumbers: number of them.
    """

    def __init__(self, models, shape: tuple[int, int], wavenumbers: int):
        self.names = ["truth", *models, *(["members"] if models[0] == "ensemble" else [])]
        self.power = {name: np.zeros((*shape, wavenumbers)) for name in self.names}
        self.weight = np.zeros(shape)

    @abc.abstractmethod
    def power_of(self, values: np.ndarray) -> np.ndarray:
        """Return the power (level, part, wavenumber) of values (level, lat, lon)."""

    @abc.abstractmethod
    def weight_of(self, counted: np.ndarray) -> np.ndarray:
        """Return the weight of each part (level, part); `counted` is bool (level, lat, lon)."""

    def add(self, lead: int, model: str, case: Case) -> None:
        """Add one forecast at one lead time; a part counts if all of its points do."""
        weight = self.weight_of(case.grid_weights.counted)
        if not weight.any():
            return
        self._add(model, lead, self.power_of(case.mean), weight)
        if model == "ensemble":
            for member in case.members:
                self._add("members", lead, self.power_of(member) / case.number, weight)
        if model == self.names[1]:
            self._add("truth", lead, self.power_of(case.truth), weight)
            self.weight[:, lead] += weight.sum(axis=-1)

    def _add(self, name: str, lead: int, power: np.ndarray, weight: np.ndarray) -> None:
        self.power[name][:, lead] += np.einsum("lyk,ly->lk", power, weight)

    def mean(self) -> np.ndarray:
        """Return the mean power (name, level, lead, wavenumber), NaN where nothing counted."""
        total = np.stack([self.power[name] for name in self.names])
        weight = np.where(self.weight > 0, self.weight, np.nan)
        return total / weight[..., None]
