"""Where the window of each requested time begins in its store."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from atmorep_k.data.stores.base import Store
from atmorep_k.earth.times import iso
from atmorep_k.errors import UserError
from atmorep_k.fields import FieldSpec, Window
from atmorep_k.inference.hours import Hours, step
from atmorep_k.windows.opened import StoreWindows


def parse_times(times: Sequence[Any]) -> np.ndarray:
    """Returns times (datetime64 or text such as `2021-02-10T06`) ascending, each once.

    Raises:
        UserError: if none is given, or one is not valid.
    """
    if not len(times):
        raise UserError("at least one time must be given.")
    return np.unique([_parse_time(time) for time in times])


def _parse_time(text: Any) -> np.datetime64:
    try:
        time = np.datetime64(text)
        if np.datetime_data(time.dtype)[0] != "generic" and not np.isnat(time):
            return time.astype("datetime64[ns]")
    except (ValueError, TypeError):
        pass
    raise UserError(f"{text!r} is not a valid time; write it like '2021-02-10T06'.")


@dataclasses.dataclass(frozen=True)
class _Need:
    """What a prediction needs of one store: a window up to a step.

    Args:
        store: the store.
        window: the `Window`.
        known: its last step that must be there.
        input_only: name of an input-only field, if that is why it must.
    """

    store: Store
    window: Window
    known: int
    input_only: str | None


def _needs(dataset: StoreWindows, fields: Sequence[FieldSpec], hours: Hours) -> list[_Need]:
    groups: dict[tuple, list] = {}
    for field in fields:
        groups.setdefault((dataset.store_of(field.name).path, field.window), []).append(field)
    found = []
    for (_, window), group in groups.items():
        known = max(hours.known[f.name] for f in group)
        predicted = max((hours.known[f.name] for f in group if f.predicted), default=-1)
        only = next((f.name for f in group if not f.predicted and predicted < known), None)
        found.append(_Need(dataset.store_of(group[0].name), window, known, only))
    return found


def window_starts(
    dataset: StoreWindows,
    fields: Sequence[FieldSpec],
    written: Sequence[FieldSpec],
    hours: Hours,
    times: Sequence[Any],
) -> np.ndarray:
    """Returns the index in the reference store at which the window of each time begins.

    Args:
        dataset: opened for the model; its reference is that of the first written field.
        fields: the `FieldSpec`s of the model.
        written: those that are written, all with one window.
        hours: the steps of the window that matter.
        times: the times that name predictions, each once, in any order.

    Returns:
        `(time,)` indices, ascending.

    Raises:
        UserError: if no time is given, or one or its window is not in a store.
    """
    first = written[0]
    needs = sorted(_needs(dataset, fields, hours), key=lambda need: need.window != first.window)
    starts = []
    for time in parse_times(times):
        end = time + (first.window.shape[0] - 1 - hours.reference) * step(first.window)
        for need in needs:
            if need.window == first.window:
                _check_time(need.store, time)
            _check_window(need, time, end)
        start = end - (first.window.shape[0] - 1) * step(first.window)
        starts.append(int(np.searchsorted(dataset.store_of(first.name).time, start)))
    return np.array(starts)


def _check_time(store: Store, time: np.datetime64) -> None:
    if not store.time[0] <= time <= store.time[-1]:
        record = f"{iso(store.time[0])} to {iso(store.time[-1])}"
        raise UserError(f"{iso(time)} is not in {store.path}, which holds {record}.")
    nearest = store.time[np.abs(store.time - time).argmin()]
    if nearest != time:
        raise UserError(
            f"{iso(time)} is not among the times of {store.path}; the nearest is {iso(nearest)}."
        )


def _check_window(need: _Need, time: np.datetime64, end: np.datetime64) -> None:
    """Checks that a store has what is needed of the window that ends at a time."""
    store, window = need.store, need.window
    needed = end - (window.shape[0] - 1 - np.arange(need.known + 1)) * step(window)
    length = f"the window of {window.hours:g} h"
    if needed[0] < store.time[0]:
        raise UserError(
            f"{iso(time)} is too early: {length} would begin before {store.path} does, at "
            f"{iso(store.time[0])}; the first possible time is "
            f"{iso(store.time[0] + (time - needed[0]))}."
        )
    if needed[-1] > store.time[-1]:
        why = f" ({need.input_only!r} is input only)" if need.input_only else ""
        raise UserError(
            f"{iso(time)} is too late: {length} needs values{why} after {store.path} ends, at "
            f"{iso(store.time[-1])}; the last possible time is "
            f"{iso(store.time[-1] - (needed[-1] - time))}."
        )
    missing = needed[~np.isin(needed, store.time)]
    if len(missing):
        raise UserError(
            f"{iso(time)} cannot be used: {length} needs {iso(missing[0])}, which is "
            f"missing in {store.path}."
        )
