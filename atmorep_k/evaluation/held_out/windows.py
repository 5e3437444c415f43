"""Windows of the validation period: the truth where tokens are masked, and what baselines say."""

import dataclasses
from typing import Any

import numpy as np
import xarray as xr

from atmorep_k.evaluation import baselines, truth
from atmorep_k.inference.batches import hidden_tokens, scatter
from atmorep_k.protocols import Model, Normalizer


@dataclasses.dataclass(frozen=True)
class HeldOutWindow:
    """One field of a held-out window, in physical units.

    Args:
        masked: bool (level, time, lat, lon), the points that count.
        target: true values (level, time, lat, lon).
        baselines: name -> values (level, time, lat, lon).
        normalizer: of the field.
        place: times, rows and columns of the window in the store.
    """

    masked: np.ndarray
    target: np.ndarray
    baselines: dict[str, np.ndarray]
    normalizer: Normalizer
    place: tuple

    @property
    def scale(self) -> np.ndarray:
        """The standard deviation that normalises the field, broadcastable to the target."""
        return self.normalizer.scale(*self.place)[1]

    def physical(self, members: np.ndarray) -> np.ndarray:
        """Return normalised members (member, level, time, lat, lon) in physical units."""
        return self.normalizer.denormalize(members, *self.place)


class HeldOut:
    """What stays the same over all windows: the stores, their climatologies, the normalisation.

    Args:
        model: the model.
        dataset: open; the windows are 0..num_samples-1 of its validation period.
        num_samples: windows.
        seed: of the windows.
        with_baselines: whether windows have baselines; a climatology is then read for each field.
    """

    def __init__(
        self, model: Model, dataset, num_samples: int, seed: int, with_baselines: bool = True
    ):
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
        months = sorted(set(baselines.month_and_hour(np.concatenate(times))[0].tolist()))
        store, training = self.stores[field.name], self.dataset.time_indices("train", field.name)
        return baselines.Climatology.from_store(store, field.name, field.levels, training, months)

    def window(self, task: str, field, sample, masked: np.ndarray) -> HeldOutWindow:
        """Return truth and baselines of a window.

        Args:
            task: the task; a forecast has no interpolation, which would be persistence.
            field: the `FieldSpec`.
            sample: the window.
            masked: bool (level, time, lat, lon).
        """
        _, rows, columns = self.dataset.windows.indices(sample.position, field.name)
        place = self.dataset.windows.coordinates(sample.position, field.name)[0], rows, columns
        cube, found = sample.cubes[field.name], {}
        if self.climatology:
            expected = self.climatology[field.name].window(*place)
            found["climatology"] = expected
            found["persistence"] = baselines.persistence(cube, masked, expected)
            if task != "forecast":
                interpolated = baselines.linear_interpolation(cube, masked, expected)
                found["linear_interpolation"] = interpolated
        return HeldOutWindow(masked, cube, found, self.normalizers[field.name], place)

    def compared(
        self, task: str, field, sample, values: np.ndarray
    ) -> tuple[HeldOutWindow, np.ndarray]:
        """Return truth and baselines of a window, and the members beside them.

        Args:
            task: the task.
            field: the `FieldSpec`.
            sample: the window.
            values: what the model predicts (level, masked, member, value), normalised.

        Returns:
            The window, and members (member, level, time, lat, lon) in physical units.
        """
        masked, members = scatter(field, *hidden_tokens(field, sample), values)
        window = self.window(task, field, sample, masked)
        return window, window.physical(members)

    def picture(self, field, sample, window: HeldOutWindow, members: np.ndarray) -> xr.Dataset:
        """Return what is drawn of a window; `members` (member, level, time, lat, lon)."""
        mean, spread = members.mean(axis=0), members.std(axis=0, ddof=min(1, len(members) - 1))
        times, latitude, longitude = self.dataset.windows.coordinates(sample.position, field.name)
        arrays = {
            "target": window.target,
            "prediction": np.where(window.masked, mean, window.target),
            "spread": np.where(window.masked, spread, np.nan),
            "hidden": window.masked,
        }
        places = (list(field.levels), times, latitude, longitude)
        return truth.picture(self.stores[field.name], field.name, arrays, places, len(members))

    def label(self, task: str, field, sums: xr.Dataset) -> xr.Dataset:
        """Return sums with units and, for a forecast, hours after the last visible time."""
        sums = sums.assign_attrs(self.attributes(field.name))
        if task == "forecast":
            first = int(np.flatnonzero(sums["weight"].sum("level"))[0])
            hours = (np.arange(sums.sizes["time"]) - first + 1) * field.window.step_hours
            sums = sums.assign_coords(lead_time_hours=("time", hours))
        return sums

    def attributes(self, field: str) -> dict[str, Any]:
        """Return units and names of a field as its store has them."""
        return truth.labels(self.stores[field], field)
