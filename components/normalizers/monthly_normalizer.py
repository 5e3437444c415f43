"""Normalisation by the statistics of the month."""

import logging
from collections.abc import Iterator

import numpy as np

from atmorep_k.data.stores.statistics import MONTHS, Pair, Scope, StoredStatistics, usable
from atmorep_k.errors import UserError
from atmorep_k.registry import Component, component

_MANY_BYTES = 2**32

log = logging.getLogger(__name__)


@component("normalizer")
class MonthlyNormalizer(Component):
    """Scales values by mean and standard deviation of their month: (x - mean) / std.

    The statistics are those of a store: one pair per month and level (`"global"`), or one per
    month, level and grid point (`"grid_point"`, the original's "local"). They are no
    configuration: `fit` takes them from a store, `state` and `load_state` carry them with a saved
    model.

    A month is one of the calendar, over all years, or one of a certain year, as in the original's
    stores (see `data.stored_statistics`). In the latter case a month that is not in the record, or
    whose statistics cannot be used (not finite, or no spread), has those of the same calendar
    month of the nearest year that can be used; of two, the earlier.

    Calendar months and global statistics are held whole. Of those of each grid point and year,
    which for decades would fill the memory, only the months that were needed are held, and saved.
    """

    def __init__(self):
        self._clear()

    def _clear(self) -> None:
        self.latitude: np.ndarray | None = None
        self.longitude: np.ndarray | None = None
        self.first_year: int | None = None
        self._scope: Scope | None = None
        self._held: dict[int, Pair] = {}
        self._unusable: set[int] = set()
        self._stored: StoredStatistics | None = None

    @property
    def is_fitted(self) -> bool:
        """Whether there are statistics to normalise with."""
        return self._scope is not None and bool(self._held or self._stored)

    @property
    def scope(self) -> Scope | None:
        """What the statistics are of: the whole field, or each grid point."""
        return self._scope

    @property
    def slots(self) -> np.ndarray:
        """The months held, (slot,) ascending, counted as in `data.stored_statistics`."""
        return np.array(sorted(self._held), np.int64)

    @property
    def mean(self) -> np.ndarray:
        """Means of the months held, (slot, level) or (slot, level, lat, lon) float32, a copy."""
        return self._stacked(0)

    @property
    def std(self) -> np.ndarray:
        """Standard deviations of the months held, as `mean`."""
        return self._stacked(1)

    def _stacked(self, which: int) -> np.ndarray:
        stacked = np.stack([self._held[slot][which] for slot in self.slots])
        return stacked if self._scope == "grid_point" else stacked[:, :, 0, 0]

    @property
    def num_levels(self) -> int:
        """Number of levels that the statistics are of."""
        if self._stored is not None:
            return len(self._stored.levels)
        return len(next(iter(self._held.values()))[0])

    def fit(
        self,
        statistics: StoredStatistics,
        scope: Scope,
        latitude: np.ndarray,
        longitude: np.ndarray,
        times: np.ndarray | None = None,
    ) -> None:
        """Takes the statistics of a variable.

        Args:
            statistics: of the levels of the field.
            scope: of the whole field, or of each grid point.
            latitude: `(lat,)` latitudes of the grid.
            longitude: `(lon,)` longitudes of the grid.
            times: `(time,)` datetime64 that are going to be normalised, so that their months are
                read now. Without them those of each grid point and year are read when needed.

        Raises:
            UserError: if the store lacks the statistics, a level is constant, or nothing can be
                used for one of the times.
        """
        self._scope, self._stored = scope, statistics
        self._held, self._unusable = {}, set()
        self.first_year = statistics.first_year
        self.latitude = np.asarray(latitude, np.float64)
        self.longitude = np.asarray(longitude, np.float64)
        try:
            self._read(statistics, scope, times)
        except UserError:
            self._clear()  # not fitted, so that another store may be tried
            raise

    def _read(self, of: StoredStatistics, scope: Scope, times: np.ndarray | None) -> None:
        of.read(scope, [])  # says so at once where there are none
        if self.first_year is None:
            self._hold_calendar(of, scope)
        elif scope == "global":
            self._hold(of.slots)
        if times is not None:
            self.hold(times)

    def hold(self, times: np.ndarray) -> None:
        """Reads the months of some times now, so that they are held and saved.

        Args:
            times: `(time,)` datetime64.

        Raises:
            UserError: if nothing can be used for one of them.
        """
        self._warn_of_size(wanted := np.unique(self._slots_of(times)))
        for slot in wanted:
            self._find(int(slot))

    def _hold_calendar(self, of: StoredStatistics, scope: Scope) -> None:
        for slot in of.slots:
            mean, std = of.read(scope, [slot])
            if not (good := usable(mean, std)[0]).all():
                level = int(np.argmin(good))
                raise UserError(
                    f"{of.source} is constant at level {of.levels[level]:g} in month "
                    f"{slot % MONTHS + 1} (always {mean[0, level].flat[0]:g}); leave that level "
                    f"out."
                )
            self._keep(int(slot), mean[0], std[0])

    def _hold(self, slots: np.ndarray) -> None:
        """Reads months of the store and keeps those that can be used."""
        assert self._stored is not None and self._scope is not None, "call fit() first"
        mean, std = self._stored.read(self._scope, slots)
        good = np.all(usable(mean, std), axis=1)
        for number in np.flatnonzero(good):
            self._keep(int(slots[number]), mean[number], std[number])
        self._unusable |= set(slots[~good].tolist())

    def _keep(self, slot: int, mean: np.ndarray, std: np.ndarray) -> None:
        places = (1, 1) if mean.ndim == 1 else mean.shape[1:]
        self._held[slot] = (mean.reshape(-1, *places), std.reshape(-1, *places))

    def _warn_of_size(self, slots: np.ndarray) -> None:
        if self._scope != "grid_point" or self.latitude is None or self.longitude is None:
            return
        points = len(self.latitude) * len(self.longitude)
        size = 8 * len(slots) * self.num_levels * points
        if size > _MANY_BYTES:
            log.warning(
                "statistics of each grid point for %d months take %.1f GB of memory and of the "
                "saved model; shorter periods take less",
                *(len(slots), size / 1e9),
            )

    def _slots_of(self, times: np.ndarray) -> np.ndarray:
        """Returns the slot that each datetime64 belongs to, whether there is one or not."""
        months = np.asarray(times).astype("datetime64[M]").astype(np.int64)
        if self.first_year is None:
            return months % MONTHS
        return months - MONTHS * (self.first_year - 1970)

    def _find(self, wanted: int) -> int:
        """Returns the slot held that serves for the one wanted; reads it if need be.

        Raises:
            UserError: if no value of that calendar month can be used.
        """
        for slot in self._nearest(wanted):
            if slot not in self._held:
                self._hold(np.array([slot]))
            if slot in self._held:
                return slot
        month = np.datetime64(MONTHS * ((self.first_year or 1970) - 1970) + wanted, "M")
        source = f" of {self._stored.source}" if self._stored else ""
        raise UserError(
            f"the monthly statistics{source} have no usable values for {month}, nor for "
            f"that month of another year; choose other times, or leave the field out."
        )

    def _nearest(self, wanted: int) -> Iterator[int]:
        """Yields the slots of a calendar month, the nearest year first, of two the earlier."""
        stored = [] if self._stored is None else self._stored.slots.tolist()
        known = {*self._held, *stored} - self._unusable
        same = [slot for slot in known if (slot - wanted) % MONTHS == 0]
        yield from sorted(same, key=lambda slot: (abs(slot - wanted), slot))

    def scale(
        self, times: np.ndarray, rows: np.ndarray, columns: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns mean and std that broadcast to (level, time, lat, lon), float32.

        Args:
            times: `(time,)` datetime64 of each time step.
            rows: `(lat,)` indices of latitudes of the grid.
            columns: `(lon,)` indices of longitudes of the grid.

        Raises:
            ValueError: if it has no statistics at all.
            UserError: if a time has no statistics, see the class.
        """
        if not self.is_fitted:
            raise ValueError("the normaliser has no statistics: fit it, or load a saved state.")
        # A window touches two months at most: crop each once, then repeat it in time.
        touched, at = np.unique(self._slots_of(times), return_inverse=True)
        slots = [self._find(int(slot)) for slot in touched]
        mean, std = (self._of_window(slots, which, at, rows, columns) for which in (0, 1))
        return mean, std

    def _of_window(self, slots: list[int], which: int, at, rows, columns) -> np.ndarray:
        crops = [self._held[slot][which] for slot in slots]
        if self._scope == "grid_point":
            crops = [crop[:, rows[:, None], columns] for crop in crops]
        values = np.stack(crops, axis=1)
        return values[:, at] if len(slots) > 1 else values

    def normalize(
        self,
        cube: np.ndarray,
        times: np.ndarray,
        rows: np.ndarray,
        columns: np.ndarray,
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        """Returns (x - mean) / std, float32, of physical values (level, time, lat, lon).

        `times`, `rows` and `columns` as in `scale`; `out` takes the result where it is given.
        """
        mean, std = self.scale(times, rows, columns)
        if out is None:
            out = np.empty(cube.shape, np.float32)
        np.subtract(cube, mean, out=out, dtype=np.float32)
        return np.divide(out, std, out=out)

    def denormalize(
        self, values: np.ndarray, times: np.ndarray, rows: np.ndarray, columns: np.ndarray
    ) -> np.ndarray:
        """Returns x std + mean, float32, of normalised values (..., level, time, lat, lon)."""
        mean, std = self.scale(times, rows, columns)
        return np.asarray(values, np.float32) * std + mean

    def state(self) -> dict[str, np.ndarray]:
        """Returns the statistics held and their grid; empty if it has none.

        `mean`, `std`, `latitude`, `longitude` and, where months are those of certain years,
        `first_year` and `slots`.
        """
        if not self._held:
            return {}
        state = {k: getattr(self, k) for k in ("mean", "std", "latitude", "longitude")}
        if self.first_year is not None:
            state |= {"first_year": np.array(self.first_year), "slots": self.slots}
        return state

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """Takes up statistics that `state` returned; also those of older files, which are monthly.

        Where there is a `first_year` but no `slots`, all months from its January on are given.
        """
        mean, std = (np.asarray(state[k], np.float32) for k in ("mean", "std"))
        self._scope = "global" if mean.ndim == 2 else "grid_point"
        self.first_year = int(state["first_year"]) if "first_year" in state else None
        slots = np.asarray(state.get("slots", np.arange(len(mean))))
        good = np.ones(len(mean), bool)
        if self.first_year is not None:
            good = np.all(usable(mean, std), axis=1)
        self._held, self._unusable, self._stored = {}, set(), None
        for number in np.flatnonzero(good):
            self._keep(int(slots[number]), mean[number], std[number])
        self.latitude = np.asarray(state["latitude"], np.float64)
        self.longitude = np.asarray(state["longitude"], np.float64)
