"""What a prediction is to be, checked before work begins: which hours, which windows."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from atmorep_k.data.store import Store
from atmorep_k.errors import UserError
from atmorep_k.tiling import Tiling, tile


@dataclasses.dataclass(frozen=True)
class Hours:
    """The time steps of a window that a prediction is about.

    Args:
        shown: `(step,)` steps of the window in the result, ascending.
        reference: the step whose time names the prediction; lead times count from it.
        known: the last step whose values must be in the store.
        input_only: name of an input-only field, if that is why they must.
    """

    shown: np.ndarray
    reference: int
    known: int
    input_only: str | None = None


def opened_model(model, before: Callable[[], object] = lambda: None) -> tuple[Any, str]:
    """Returns a model, which may be given by its path, and what it is called.

    Args:
        model: a model, or the path of a saved one or of its run.
        before: is called when it is known that there is a model, before it is loaded.

    Raises:
        UserError: where there is none.
    """
    if not isinstance(model, str | Path):
        before()
        return model, model.name
    from atmorep_k import load_model
    from atmorep_k.saved import describe

    path = describe(Path(model))["path"]
    before()
    return load_model(path), path


def open_dataset(store: str, model):
    """Returns the windows of a store as a model sees them, see `WindowDataset.open_whole`."""
    from atmorep_k import registry

    dataset = registry.lookup("WindowDataset", "dataset")(store)
    dataset.open_whole(model.fields, model.normalizers)
    return dataset


def hidden_hours(masking, fields: Sequence) -> Hours:
    """Returns the steps that a masking always hides; the one before them names the prediction.

    Fields may hide different steps, where their tokens are of different length.

    Args:
        masking: hides the same time tokens of every window.
        fields: the `FieldSpec`s of a model.

    Raises:
        UserError: where nothing is visible before what is hidden, or the masking does not suit
            a field.
    """
    hidden = {f.name: _hidden_steps(masking, f) for f in fields if f.predicted}
    shown = np.unique(np.concatenate(list(hidden.values())))
    if shown[0] == 0:
        raise UserError("the first time token of a window cannot be hidden: nothing comes before.")
    times = fields[0].window.shape[0]
    visible = [np.setdiff1d(np.arange(times), steps)[-1] for steps in hidden.values()]
    known, input_only = int(max(visible)), next((f.name for f in fields if not f.predicted), None)
    if input_only and known < times - 1:
        return Hours(shown, int(shown[0]) - 1, times - 1, input_only)
    return Hours(shown, int(shown[0]) - 1, known)


def all_hours(fields: Sequence) -> Hours:
    """Returns all steps of a window, the first of which names the prediction."""
    times = fields[0].window.shape[0]
    return Hours(np.arange(times), 0, times - 1)


def _hidden_steps(masking, field) -> np.ndarray:
    masking.num_slots(field.num_tokens)
    index, _ = masking.choose(np.random.default_rng(0), 1, field.num_tokens)
    tokens = np.unique(index[0] // (field.num_tokens[1] * field.num_tokens[2]))
    length = field.token_size[0]
    return (tokens[:, None] * length + np.arange(length)).ravel()


def step(window) -> np.timedelta64:
    """Returns the time between two steps of a window."""
    return np.timedelta64(round(window.step_hours * 3600), "s").astype("timedelta64[ns]")


def parse_times(times: Sequence[Any]) -> np.ndarray:
    """Returns times (datetime64 or text such as `2021-02-10T06`) ascending, each once.

    Raises:
        UserError: where there is none, or one is not understood.
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
    raise UserError(f"{text!r} is no time; write it like '2021-02-10T06'.")


def window_starts(store: Store, window, hours: Hours, times: Sequence[Any]) -> np.ndarray:
    """Returns the index in the store at which the window of each time begins.

    Args:
        store: the store.
        window: the `Window` of the model.
        hours: the steps of the window that matter.
        times: the times that name predictions, each once, in any order.

    Returns:
        `(time,)` indices, ascending.

    Raises:
        UserError: where there is no time, one is not in the store, or its window is not.
    """
    return np.array([_start(store, window, hours, time) for time in parse_times(times)])


def _start(store: Store, window, hours: Hours, time: np.datetime64) -> int:
    record = f"{minutes(store.time[0])} to {minutes(store.time[-1])}"
    if not store.time[0] <= time <= store.time[-1]:
        raise UserError(f"{minutes(time)} is not in {store.path}, which holds {record}.")
    nearest = store.time[np.abs(store.time - time).argmin()]
    if nearest != time:
        raise UserError(
            f"{minutes(time)} is not among the times of {store.path}; the nearest is "
            f"{minutes(nearest)}."
        )
    needed = time + (np.arange(hours.known + 1) - hours.reference) * step(window)
    length = f"the window of {window.shape[0] * window.step_hours:g} h"
    if needed[0] < store.time[0]:
        first = store.time[0] + hours.reference * step(window)
        raise UserError(
            f"{minutes(time)} is too early: {length} would begin before {store.path} does, at "
            f"{minutes(store.time[0])}; the first time possible is {minutes(first)}."
        )
    if needed[-1] > store.time[-1]:
        last = store.time[-1] - (hours.known - hours.reference) * step(window)
        why = f" ({hours.input_only!r} is input only)" if hours.input_only else ""
        raise UserError(
            f"{minutes(time)} is too late: {length} needs values{why} after {store.path} ends, at "
            f"{minutes(store.time[-1])}; the last time possible is {minutes(last)}."
        )
    missing = needed[~np.isin(needed, store.time)]
    if len(missing):
        raise UserError(
            f"{minutes(time)} cannot be used: {length} needs {minutes(missing[0])}, which is "
            f"missing in {store.path}."
        )
    return int(np.searchsorted(store.time, needed[0]))


def minutes(time: np.datetime64) -> str:
    """Returns a time as text, to the minute."""
    return str(np.datetime_as_string(time, "m"))


def cover(store: Store, field, overlap: Sequence[int], region: Sequence[float] | None) -> Tiling:
    """Returns the windows that cover a store or a region of it.

    Args:
        store: the store.
        field: the `FieldSpec` whose tokens measure the overlap.
        overlap: tokens that neighbours share in (lat, lon).
        region: (south, north, west, east) in degrees; None for the whole grid.

    Raises:
        UserError: where the overlap exceeds half a window, or a window does not fit.
    """
    most = [n // 2 for n in field.num_tokens[1:]]
    if len(overlap) != 2 or any(
        not 0 <= tokens <= limit for tokens, limit in zip(overlap, most, strict=True)
    ):
        raise UserError(
            f"the overlap must be 0 to {most[0]} tokens in lat and 0 to {most[1]} in lon, at most "
            f"half a window, not {list(overlap)}."
        )
    points = tuple(
        tokens * size for tokens, size in zip(overlap, field.token_size[1:], strict=True)
    )
    size = field.window.shape[1:]
    return tile(store.latitude, store.longitude, store.is_global, size, points, region)
