"""Windows of the validation period, on which a model is scored beside baselines."""

from typing import Any

import numpy as np
import xarray as xr

from atmorep_k.evaluation import baselines, truth
from atmorep_k.evaluation.held_out.window import HeldOutWindow
from atmorep_k.evaluation.sums import ScoreSums


class HeldOut:
    """What stays the same over all windows: the stores, their climatologies, the normalisation.

    Args:
        model: has `fields` and `normalizers`.
        dataset: open; the windows are 0..num_samples-1 of its validation period.
        num_samples: windows.
        seed: of the windows.
        with_baselines: whether windows have baselines; a climatology is then read for each field.
    """

    def __init__(self, model, dataset, num_samples: int, seed: int, with_baselines: bool = True):
        self.dataset = dataset
        self.fields = [f for f in model.fields if f.predicted]
        self.normalizers = model.normalizers
        self.stores = {f.name: dataset.windows.store_of(f.name) for f in self.fields}
        self.climatology = {}
        if with_baselines:
            positions = [dataset.position("validation", seed, 0, i) for i in range(num_samples)]
            self.climatology = {f.name: self._climatology(f, positions) for f in self.fields}

    @property
    def simulated(self) -> bool:
        """Whether a store is of a simulated atmosphere."""
        return any(store.attributes.get("simulated") for store in self.stores.values())

    def _climatology(self, field, positions: list) -> baselines.Climatology:
        times = [self.dataset.windows.coordinates(p, field.name)[0] for p in positions]
        months = sorted(set(baselines.calendar(np.concatenate(times))[0].tolist()))
        store, training = self.stores[field.name], self.dataset.time_indices("train", field.name)
        return baselines.Climatology.from_store(store, field.name, field.levels, training, months)

    def window(self, task: str, field, sample, hidden: np.ndarray) -> HeldOutWindow:
        """Returns truth and baselines of a window.

        Args:
            task: the task; a forecast has no interpolation, which would be persistence.
            field: the `FieldSpec`.
            sample: the window.
            hidden: bool (level, time, lat, lon).
        """
        _, rows, columns = self.dataset.windows.indices(sample.position, field.name)
        place = self.dataset.windows.coordinates(sample.position, field.name)[0], rows, columns
        cube, found = sample.cubes[field.name], {}
        if self.climatology:
            arguments = cube, hidden, self.climatology[field.name].window(*place)
            found = {"climatology": arguments[-1], "persistence": baselines.persistence(*arguments)}
            if task != "forecast":
                found["linear_interpolation"] = baselines.linear_interpolation(*arguments)
        return HeldOutWindow(hidden, cube, found, self.normalizers[field.name], place)

    def picture(self, field, sample, window: HeldOutWindow, members: np.ndarray) -> xr.Dataset:
        """Returns what is drawn of a window; `members` (member, level, time, lat, lon)."""
        mean, spread = members.mean(axis=0), members.std(axis=0, ddof=min(1, len(members) - 1))
        times, latitude, longitude = self.dataset.windows.coordinates(sample.position, field.name)
        arrays = {
            "target": window.target,
            "prediction": np.where(window.hidden, mean, window.target),
            "spread": np.where(window.hidden, spread, np.nan),
            "hidden": window.hidden,
        }
        places = (list(field.levels), times, latitude, longitude)
        return truth.picture(self.stores[field.name], field.name, arrays, places, len(members))

    def describe(self, task: str, field, sums: ScoreSums) -> xr.Dataset:
        """Returns the sums with units and, for a forecast, hours after the last visible time."""
        data = sums.data.assign_attrs(self.attributes(field.name))
        if task == "forecast":
            first = int(np.flatnonzero(data["count"].sum("level"))[0])
            hours = (np.arange(data.sizes["time"]) - first + 1) * field.window.step_hours
            data = data.assign_coords(lead_time_hours=("time", hours))
        return data

    def attributes(self, field: str) -> dict[str, Any]:
        """Returns units and names of a field as its store has them."""
        return truth.labels(self.stores[field], field)
