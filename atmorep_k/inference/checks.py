"""Checks before a prediction begins: fields, grids and windows."""

from collections.abc import Sequence

import numpy as np

from atmorep_k.data.stores.base import Store
from atmorep_k.earth.variables import canonical_name
from atmorep_k.errors import UserError, unknown
from atmorep_k.fields import FieldSpec, Position
from atmorep_k.inference.tiling import Tiling, tile
from atmorep_k.protocols import Model
from atmorep_k.windows.opened import StoreWindows

# Degrees by which points of two stores may differ that are the same place.
_SAME_PLACE = 1e-3


def written_fields(model: Model, names: Sequence[str] | None) -> list[FieldSpec]:
    """Returns the `FieldSpec`s that are written: those named, in the order of the model, or all.

    Raises:
        UserError: if a name is not that of a predicted field, no field is left, or their windows
            differ, so that one file cannot hold them.
    """
    predicted = [f.name for f in model.predicted]
    wanted = {canonical_name(n): n for n in (predicted if names is None else names)}
    for canonical, name in wanted.items():
        if canonical not in predicted:
            raise unknown("predicted field", name, predicted)
    if not wanted:
        raise UserError(f"no field would be written; choose among {', '.join(predicted)}.")
    first, *others = found = [f for f in model.predicted if f.name in wanted]
    for field in others:
        if field.window != first.window:
            sizes = (f"{f.window.shape} points every {f.window.step_hours:g} h" for f in found)
            raise _beside(first, field, "window is {1}, not {0}".format(*sizes))
    return found


def check_grid(
    dataset: StoreWindows,
    fields: Sequence[FieldSpec],
    written: Sequence[FieldSpec],
    positions: Sequence[Position],
) -> None:
    """Checks that all stores have some windows, and that one file can hold what is written.

    Args:
        dataset: opened for the model; its reference is that of the first written field.
        fields: the `FieldSpec`s of the model.
        written: those that are written.
        positions: the windows.

    Raises:
        UserError: if a store has not all windows, or grids or kinds of levels differ; names
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
            raise _beside(written[0], field, "levels are of a different kind")


def _beside(first: FieldSpec, field: FieldSpec, reason: str) -> UserError:
    return UserError(
        f"{field.name!r} cannot be written beside {first.name!r}, its {reason}; choose the "
        f"fields to write, for instance --fields {first.name} (fields=[{first.name!r}])."
    )


def _same_points(ours, theirs) -> bool:
    for (_, *one), (_, *other) in zip(ours, theirs, strict=True):
        off = [(a - b + 180) % 360 - 180 for a, b in zip(one, other, strict=True)]
        if max(np.abs(axis).max() for axis in off) > _SAME_PLACE:
            return False
    return True


def _kind_of_levels(store: Store, field: FieldSpec) -> str | None:
    if not store.variables[field.name].has_level:
        return None
    return store.attributes.get("level_type", "")


def cover(
    store: Store, field: FieldSpec, overlap: Sequence[int], region: Sequence[float] | None
) -> Tiling:
    """Returns the windows that cover a store or a region of it.

    Args:
        store: the store.
        field: the `FieldSpec` whose tokens measure the overlap.
        overlap: tokens that neighbours share in (lat, lon).
        region: (south, north, west, east) in degrees; None for the whole grid.

    Raises:
        UserError: if the overlap exceeds half a window, or a window does not fit.
    """
    most = [n // 2 for n in field.num_tokens[1:]]
    if len(overlap) != 2 or any(
        not 0 <= tokens <= limit for tokens, limit in zip(overlap, most, strict=True)
    ):
        raise UserError(
            f"the overlap must be 0 to {most[0]} tokens in lat and 0 to {most[1]} in lon, at most "
            f"half a window, not {list(overlap)}."
        )
    points = overlap[0] * field.token_size[1], overlap[1] * field.token_size[2]
    size = field.window.shape[1:]
    return tile(store.latitude, store.longitude, store.is_global, size, points, region)
