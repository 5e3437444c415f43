"""Forecasts that need no model: climatology, persistence and linear interpolation in time.

They see what a model sees: the physical values of a window where it is not masked, and the record
of the past. Windows are cubes (level, time, lat, lon) with evenly spaced times.
"""

import dataclasses
import logging
from collections.abc import Iterator, Sequence

import numpy as np

# Times read at once, the depth of a shard of the store.
BLOCK_TIMES = 48

WHOLE_RECORD = 0

log = logging.getLogger(__name__)


def persistence(cube: np.ndarray, masked: np.ndarray, climatology: np.ndarray) -> np.ndarray:
    """Return the window with each masked point replaced by its last visible value.

    Before its first visible time a point gets its first visible value; one that is never visible
    gets the climatology.

    Args:
        cube: values (level, time, lat, lon); masked ones are not read.
        masked: bool (level, time, lat, lon).
        climatology: expected values (level, time, lat, lon).
    """
    before, after = _visible_neighbours(masked)
    return _or(climatology, cube, masked, _take(cube, np.where(before >= 0, before, after)))


def linear_interpolation(
    cube: np.ndarray, masked: np.ndarray, climatology: np.ndarray
) -> np.ndarray:
    """Return the window with masked points interpolated between the visible times around them.

    x(t) = (1 - w) x(t0) + w x(t1), w = (t - t0) / (t1 - t0). A point with visible times on
    one side only gets the nearest value; one that is never visible gets the climatology. Arguments
    as for `persistence`.
    """
    before, after = _visible_neighbours(masked)
    last = masked.shape[-3] - 1
    start, end = np.where(before >= 0, before, after), np.where(after <= last, after, before)
    steps = np.arange(last + 1)[:, None, None]
    weight = (steps - start) / np.maximum(end - start, 1)
    mixed = (1 - weight) * _take(cube, start) + weight * _take(cube, end)
    return _or(climatology, cube, masked, mixed)


def _visible_neighbours(masked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the nearest visible times up to each time and from it on; -1 and T if not there."""
    num_times = masked.shape[-3]
    steps = np.arange(num_times)[:, None, None]
    before = np.maximum.accumulate(np.where(masked, -1, steps), axis=-3)
    after = np.where(masked, num_times, steps)
    return before, np.minimum.accumulate(after[..., ::-1, :, :], axis=-3)[..., ::-1, :, :]


def _take(cube: np.ndarray, index: np.ndarray) -> np.ndarray:
    return np.take_along_axis(cube, np.clip(index, 0, cube.shape[-3] - 1), axis=-3)


def _or(climatology, cube, masked, estimate):
    never_visible = masked.all(axis=-3, keepdims=True)
    estimate = np.where(never_visible, climatology, estimate)
    return np.where(masked, estimate, cube).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class Climatology:
    """The mean by month and hour of day, at each grid point and level.

    An hour of day that never occurs in a month of the record gets the mean of the month; a month
    that never occurs gets the mean of the hour over the whole record.

    Args:
        mean: (group, slot, level, lat, lon) float32; a group is a month or the whole record, a
            slot an hour of day that occurs, the last slot the mean over all hours.
        group_of_month: (13,) group of the months 1..12, -1 where the month was not asked for.
        slot_of_hour: (24,) slot of each hour of day.
    """

    mean: np.ndarray
    group_of_month: np.ndarray
    slot_of_hour: np.ndarray

    @classmethod
    def from_store(
        cls,
        store,
        variable: str,
        levels: Sequence[float],
        times: np.ndarray,
        months: Sequence[int],
        max_bytes: int = 2**36,
    ) -> "Climatology":
        """Return the climatology of a variable, read once, block by block.

        It takes 4 bytes x months x (hours of day + 1) x levels x grid points in memory, however
        long the record is.

        Args:
            store: the open store, see `data.store`.
            variable: name of the variable.
            levels: levels to keep, in the units of the store.
            times: indices of the times to average over (the training period), ascending.
            months: months 1..12 that will be asked for.
            max_bytes: if the data are larger, only every n-th day is read.
        """
        times = _thin(store.time, times, max_bytes // max(1, _bytes_per_time(store, variable)))
        month, hour = month_and_hour(store.time[times])
        groups = sorted({m if m in month else WHOLE_RECORD for m in months})
        hours = np.unique(hour)
        shape = (len(groups), len(hours) + 1, len(levels))
        mean = np.zeros((*shape, len(store.latitude), len(store.longitude)), np.float32)
        counts = np.zeros(shape[:2], np.int64)
        kept = np.isin(month, groups) | (WHOLE_RECORD in groups)
        for block, values in _blocks(store, variable, levels, times[kept]):
            _add(mean, counts, groups, hours, month_and_hour(store.time[block]), values)
        for group, slot in np.argwhere(counts == 0):
            mean[group, slot] = mean[group, -1]
        return cls(mean, _group_of_month(groups, months), _slot_of_hour(hours))

    def window(self, times: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Return the expected values (level, time, lat, lon) of a window.

        Args:
            times: (time,) datetime64.
            rows: (lat,) indices of latitudes of the store.
            columns: (lon,) indices of longitudes of the store.
        """
        month, hour = month_and_hour(times)
        pairs = zip(self.group_of_month[month], self.slot_of_hour[hour], strict=True)
        place = np.ix_(np.arange(self.mean.shape[2]), rows, columns)
        return np.stack([self.mean[group, slot][place] for group, slot in pairs], axis=1)


def month_and_hour(times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return month (1..12) and hour of day (0..23) of datetime64 times."""
    month = times.astype("datetime64[M]").astype(int) % 12 + 1
    hour = (times.astype("datetime64[h]") - times.astype("datetime64[D]")).astype(int)
    return month, hour


def _bytes_per_time(store, variable: str) -> int:
    levels = len(store.level) if store.variables[variable].has_level else 1
    return 4 * levels * len(store.latitude) * len(store.longitude)


def _thin(time: np.ndarray, times: np.ndarray, max_times: int) -> np.ndarray:
    """Keep whole days, evenly spaced, so that every hour of day is still there."""
    every = -(-len(times) // max(1, max_times))
    if every == 1:
        return times
    log.warning("climatology: only one day in %d of the training period is read", every)
    days = time[times].astype("datetime64[D]").astype(int)
    return times[(days - days[0]) % every == 0]


def _blocks(
    store, variable: str, levels: Sequence[float], times: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield runs of consecutive time indices with their values (time, level, lat, lon)."""
    array = store.dataset()[variable]
    if not store.variables[variable].has_level:
        array = array.expand_dims("level", axis=1)
        chosen = np.array([0])
    else:
        chosen = np.array([int(np.flatnonzero(store.level == level)[0]) for level in levels])
    array = array.transpose("time", "level", "latitude", "longitude")
    breaks = (np.diff(times) != 1) | (np.diff(times // BLOCK_TIMES) != 0)
    for block in np.split(times, 1 + np.flatnonzero(breaks)):
        values = array.isel(time=slice(int(block[0]), int(block[-1]) + 1)).values
        yield block, values[:, chosen]


def _add(mean, counts, groups, hours, block_calendar, values) -> None:
    """Take a block into the running means, mean += (sum - k mean) / n."""
    month, hour = block_calendar
    for group, wanted in enumerate(groups):
        in_group = (month == wanted) | (wanted == WHOLE_RECORD)
        chosen = [in_group & (hour == h) for h in hours] + [in_group]
        for slot, rows in enumerate(chosen):
            if number := int(rows.sum()):
                counts[group, slot] += number
                total = values[rows].sum(axis=0, dtype=np.float64)
                excess = total - number * mean[group, slot].astype(np.float64)
                mean[group, slot] += excess / counts[group, slot]


def _group_of_month(groups: list[int], months: Sequence[int]) -> np.ndarray:
    table = np.full(13, -1)
    for month in months:
        table[month] = groups.index(month if month in groups else WHOLE_RECORD)
    return table


def _slot_of_hour(hours: np.ndarray) -> np.ndarray:
    table = np.full(24, len(hours))
    table[hours] = np.arange(len(hours))
    return table
