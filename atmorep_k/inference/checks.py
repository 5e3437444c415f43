"""What a prediction is to be, checked before work begins: which hours, which windows."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from atmorep_k import load_model
from atmorep_k.data.named import store_path
from atmorep_k.data.opening import Store, open_store
from atmorep_k.earth.times import iso
from atmorep_k.earth.units import cf_units
from atmorep_k.earth.variables import canonical_name
from atmorep_k.errors import UserError, unknown
from atmorep_k.inference.tiling import Tiling, tile
from atmorep_k.saved.description import describe

# Part of it by which a grid spacing may differ; Gaussian latitudes are not quite even.
_SAME_SPACING = 0.05
# Degrees by which points of two stores may differ that are the same place.
_SAME_PLACE = 1e-3


@dataclasses.dataclass(frozen=True)
class Hours:
    """The time steps of a window that a prediction is about.

    Args:
        shown: `(step,)` steps of the written fields' window in the result, ascending.
        reference: the step whose time names the prediction; lead times count from it.
        known: field -> the last step of its own window whose values must be in its store.
    """

    shown: np.ndarray
    reference: int
    known: dict[str, int]


def opened_model(model, store: str, stores: dict[str, str] | None) -> tuple[Any, str]:
    """Returns a model, which may be given by its path, and what it is called.

    Args:
        model: a model, or the path of a saved one or of its run.
        store: the store that it is to be used on, see `open_dataset`.
        stores: those of single fields.

    Raises:
        UserError: where there is no such model, or no such store; the latter is said before the
            model is loaded.
    """
    paths = [store_path(path) for path in (store, *(stores or {}).values())]
    given = not isinstance(model, str | Path)
    path = None if given else describe(Path(model))["path"]
    for place in paths:
        open_store(place)
    return (model, model.name) if given else (load_model(path), path)


def open_dataset(
    store: str,
    stores: dict[str, str] | None,
    model,
    reference: str,
    windows_after: int = 1,
    *,
    own_statistics: bool = False,
):
    """Returns the windows of stores as a model sees them, see `WindowDataset.open_whole`.

    They are normalised by the statistics of the model, or by those of the stores.

    Raises:
        UserError: where a store lacks what the model sees, or has it in other units or on another
            grid spacing than the model was trained on.
    """
    from atmorep_k import registry

    dataset = registry.lookup("WindowDataset", "dataset")(store, stores=stores)
    normalizers = None if own_statistics else model.normalizers
    dataset.open_whole(model.fields, normalizers, reference, windows_after)
    for field in model.fields:
        _check_units(dataset.store_of(field.name), field.name, model)
        _check_spacing(dataset.store_of(field.name), field.name, model.normalizers[field.name])
    return dataset


def _check_units(store: Store, field: str, model) -> None:
    trained = getattr(model, "provenance", {}).get("units", {}).get(field, "")
    given, wanted = cf_units(store.variables[field].units), cf_units(trained)
    if given and wanted and given != wanted:
        raise UserError(
            f"{field!r} is in {given} in {store.path}, and the model was trained on it in "
            f"{wanted}; make a store with 'atmorep-k data prepare', which converts units."
        )


def _check_spacing(store: Store, field: str, normalizer) -> None:
    """Compares the grids that a store and the statistics of a model are of, where it has them."""
    if normalizer.latitude is None or len(normalizer.latitude) < 2:
        return
    trained = _spacing(normalizer.latitude, normalizer.longitude)
    given = _spacing(store.latitude, store.longitude)
    if not np.allclose(given, trained, rtol=_SAME_SPACING):
        sizes = (" x ".join(f"{degrees:.3g}" for degrees in of) for of in (given, trained))
        raise UserError(
            "the grid of {0} has {2} degrees (lat x lon), and the model was trained on {1!r} with "
            "{3}; it knows no other spacing.".format(store.path, field, *sizes)
        )


def _spacing(latitude: np.ndarray, longitude: np.ndarray) -> list[float]:
    return [float(np.median(np.abs(np.diff(axis)))) for axis in (latitude, longitude)]


def written_fields(model, names: Sequence[str] | None) -> list:
    """Returns the `FieldSpec`s that are written: those named, in the order of the model, or all.

    Raises:
        UserError: where a name is none of a predicted field, there is none, or their windows
            differ, so that one file cannot hold them.
    """
    predicted = [f.name for f in model.predicted]
    wanted = {canonical_name(n): n for n in (predicted if names is None else names)}
    for field, name in wanted.items():
        if field not in predicted:
            raise unknown("predicted field", name, predicted)
    if not wanted:
        raise UserError(f"no field is to be written; choose among {', '.join(predicted)}.")
    first, *others = found = [f for f in model.predicted if f.name in wanted]
    for field in others:
        if field.window != first.window:
            sizes = (f"{f.window.shape} points every {f.window.step_hours:g} h" for f in found)
            raise _beside(first, field, "window is {1}, not {0}".format(*sizes))
    return found


def check_grid(dataset, fields: Sequence, written: Sequence, positions: Sequence) -> None:
    """Checks that all stores have some windows, and that one file can hold what is written.

    Args:
        dataset: opened for the model; its reference is that of the first written field.
        fields: the `FieldSpec`s of the model.
        written: those that are written.
        positions: the windows.

    Raises:
        UserError: where a store has not all windows, or grids or kinds of levels differ; names
            fields that can be written.
    """
    reference = [dataset.coordinates(p) for p in positions]
    for field in fields:
        places = [dataset.coordinates(p, field.name) for p in positions]
        if field in written and not _same_points(places, reference):
            of, other = dataset.store_of(field.name), dataset.store_of()
            raise _beside(written[0], field, f"grid is that of {of.path}, not of {other.path}")
    for field in written:
        kinds = {_kind_of_levels(dataset.store_of(f.name), f) for f in (written[0], field)} - {None}
        if len(kinds) > 1:
            raise _beside(written[0], field, "levels are of another kind")


def _beside(first, field, reason: str) -> UserError:
    return UserError(
        f"{field.name!r} cannot be written beside {first.name!r}, its {reason}; choose what is "
        f"written, for instance --fields {first.name} (fields=[{first.name!r}])."
    )


def _same_points(ours, theirs) -> bool:
    for (_, *one), (_, *other) in zip(ours, theirs, strict=True):
        off = [(a - b + 180) % 360 - 180 for a, b in zip(one, other, strict=True)]
        if max(np.abs(axis).max() for axis in off) > _SAME_PLACE:
            return False
    return True


def _kind_of_levels(store: Store, field) -> str | None:
    if not store.variables[field.name].has_level:
        return None
    return store.attributes.get("level_type", "")


def hidden_hours(masking, fields: Sequence, written: Sequence) -> Hours:
    """Returns the steps that a masking always hides; the one before them names the prediction.

    Fields may hide different steps, where their tokens are of different length.

    Args:
        masking: hides the same time tokens of every window.
        fields: the `FieldSpec`s of a model.
        written: those that the result is about, all with one window.

    Raises:
        UserError: where nothing is visible before what is hidden, or the masking does not suit
            a field.
    """
    hidden = {f.name: _hidden_steps(masking, f) for f in fields if f.predicted}
    shown = np.unique(np.concatenate([hidden[f.name] for f in written]))
    if shown[0] == 0:
        raise UserError("the first time token of a window cannot be hidden: nothing comes before.")
    known = {}
    for field in fields:
        steps = np.arange(field.window.shape[0])
        known[field.name] = int(np.setdiff1d(steps, hidden.get(field.name, []))[-1])
    return Hours(shown, int(shown[0]) - 1, known)


def all_hours(fields: Sequence, written: Sequence) -> Hours:
    """Returns all steps of a window, the first of which names the prediction."""
    times = written[0].window.shape[0]
    return Hours(np.arange(times), 0, {f.name: f.window.shape[0] - 1 for f in fields})


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
    window: Any
    known: int
    input_only: str | None


def _needs(dataset, fields: Sequence, hours: Hours) -> list[_Need]:
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
    dataset, fields: Sequence, written: Sequence, hours: Hours, times: Sequence[Any]
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
        UserError: where there is no time, one is not in a store, or its window is not.
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
            f"{iso(store.time[0])}; the first time possible is "
            f"{iso(store.time[0] + (time - needed[0]))}."
        )
    if needed[-1] > store.time[-1]:
        why = f" ({need.input_only!r} is input only)" if need.input_only else ""
        raise UserError(
            f"{iso(time)} is too late: {length} needs values{why} after {store.path} ends, at "
            f"{iso(store.time[-1])}; the last time possible is "
            f"{iso(store.time[-1] - (needed[-1] - time))}."
        )
    missing = needed[~np.isin(needed, store.time)]
    if len(missing):
        raise UserError(
            f"{iso(time)} cannot be used: {length} needs {iso(missing[0])}, which is "
            f"missing in {store.path}."
        )


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
