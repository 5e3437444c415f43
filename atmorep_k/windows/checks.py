"""Checks of fields against a store, before anything is read."""

import logging
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from atmorep_k.data.stores.base import Store
from atmorep_k.data.stores.packing import MISSING
from atmorep_k.earth.times import gaps, iso
from atmorep_k.errors import UserError, unknown
from atmorep_k.fields import FieldSpec, check_hours
from atmorep_k.windows import damage

Indices = tuple[np.ndarray, np.ndarray, np.ndarray]

_NAMED_GAPS = 3

log = logging.getLogger(__name__)


def check_positive(dataset, names: Iterable[str]) -> None:
    """Raises a `UserError` where one of some arguments of a dataset is below 1."""
    for name in names:
        if (value := getattr(dataset, name)) < 1:
            raise UserError(f"{type(dataset).__name__}.{name} must be at least 1, not {value}.")


def samples_of(batch_size: int, part: tuple[int, int]) -> Callable[[int], range]:
    """Returns the function step -> numbers of the samples of one part of a batch.

    Raises:
        UserError: if a batch cannot be divided into that many equal parts.
    """
    number, parts = part
    if parts < 1 or batch_size % parts or not 0 <= number < parts:
        fitting = max(1, round(batch_size / max(1, parts))) * max(1, parts)
        raise UserError(
            f"part {number} of {parts} of a batch of {batch_size} samples: parts are equal "
            f"and counted from 0; a batch of {fitting} could be divided so."
        )
    rows = batch_size // parts

    def samples(step: int) -> range:
        first = step * batch_size + number * rows
        return range(first, first + rows)

    return samples


def check_fields(fields: Sequence[FieldSpec]) -> None:
    """Checks that fields can be those of one model.

    Raises:
        UserError: if fields are missing, one comes twice, or they see different hours.
    """
    names = [f.name for f in fields]
    if not fields or len(set(names)) < len(names):
        raise UserError(f"a dataset needs one or more different fields, not {names}.")
    check_hours(fields)


def level_index(store: Store, field: FieldSpec) -> list[int]:
    """Returns the indices of a field's levels in the store; [0] at the surface.

    Raises:
        UserError: if the store lacks the field or a level; names the nearest.
    """
    if field.name not in store.variables:
        raise unknown(f"field in {store.path}", field.name, store.variables)
    if not store.variables[field.name].has_level:
        if field.levels != (0,):
            raise UserError(
                f"{field.name!r} is a surface variable: its levels must be [0], not "
                f"{list(field.levels)}."
            )
        return [0]
    return [_index(store, field.name, level) for level in field.levels]


def _index(store: Store, name: str, level: float) -> int:
    distance = np.abs(store.level - level)
    index = int(distance.argmin())
    if distance[index] > 1e-6 * max(1.0, abs(level)):
        listed = ", ".join(f"{value:g}" for value in store.level)
        raise UserError(
            f"{name!r} has no level {level:g} in {store.path}; did you mean "
            f"{store.level[index]:g}? Allowed: {listed}."
        )
    return index


def check_normalizer(store: Store, field: FieldSpec, normalizer) -> None:
    """Checks that statistics which came with a model suit the field and the store.

    Raises:
        UserError: if the number of levels differs, or statistics of grid points belong to
            another grid.
    """
    if normalizer.num_levels != len(field.levels):
        raise UserError(
            f"the normalizer of {field.name!r} has {normalizer.num_levels} levels, but "
            f"the field has {len(field.levels)}."
        )
    if normalizer.scope == "grid_point":
        for axis in ("latitude", "longitude"):
            ours, theirs = getattr(store, axis), getattr(normalizer, axis)
            if ours.shape != theirs.shape or not np.allclose(ours, theirs, atol=1e-4):
                raise UserError(
                    f"{field.name!r} is normalised with statistics of each grid point, which "
                    f"have a different {axis} grid from {store.path}."
                )


def check_window_values(store: Store, field: FieldSpec, cube: np.ndarray, indices: Indices) -> None:
    """Checks that no value of a cube (level, time, lat, lon) that was read is missing.

    Args:
        store: the store, for the message.
        field: the field.
        cube: as stored: float32, or integers of a packed variable.
        indices: times, rows and columns of the cube in the store; times may be more.

    Raises:
        UserError: if a value is missing; names variable, level, time and place.
    """
    if _is_whole(cube):
        return
    missing = cube == MISSING if cube.dtype.kind == "i" else ~np.isfinite(cube)
    if not missing.any():  # finite values whose sum is not
        return
    step, level, row, column = (int(i) for i in np.argwhere(missing.swapaxes(0, 1))[0])
    times, rows, columns = indices
    when = iso(store.time[times[step]])
    raise UserError(
        f"variable {field.name!r} in {store.path} has missing values (NaN or infinite), at "
        f"{when}, level {field.levels[level]:g}, latitude {store.latitude[rows[row]]:g}, longitude "
        f"{store.longitude[columns[column]]:g}; {damage.listing(store)}; fill them, or leave the "
        f"variable or that time out."
    )


def _is_whole(cube: np.ndarray) -> bool:
    """Returns whether nothing is missing; cheaper than a mask of what is."""
    if cube.dtype.kind == "i":
        return cube.min(initial=0) > MISSING
    # A sum is finite only if all values are.
    with np.errstate(invalid="ignore", over="ignore"):
        return bool(np.isfinite(cube.sum()))


def no_common_place(reference: Store, other: Store, field: FieldSpec) -> UserError:
    """Returns the error that no window lies in two stores."""
    return UserError(
        f"no window lies both in {reference.path} ({area(reference)}) and, for {field.name!r}, in "
        f"{other.path} ({area(other)})."
    )


def area(store: Store) -> str:
    """Returns the latitudes and longitudes of a store, as words for a message."""
    rows, columns = store.latitude, store.longitude
    return f"latitudes {rows[-1]:g} to {rows[0]:g}, longitudes {columns[0]:g} to {columns[-1]:g}"


def no_common_time(name: str, reference: Store, other: Store, field: FieldSpec) -> UserError:
    """Returns the error that no window of a period has all its times in two stores."""
    return UserError(
        f"no window of {field.window.hours:g} h of the {name} period has all its times both in "
        f"{reference.path} ({record(reference)}) and, for {field.name!r}, in {other.path} "
        f"({record(other)})."
    )


def tell_gaps(store: Store, fields: Sequence[FieldSpec]) -> None:
    """Warns of steps that a record lacks: no window spans them, so nobody would notice."""
    found = gaps(store.time)
    for gap in found[:_NAMED_GAPS]:
        log.warning(
            "%s of %s: %d step(s) are missing between %s and %s; no window spans them",
            *(", ".join(f.name for f in fields), store.path, gap["missing_steps"]),
            *(gap["after"], gap["before"]),
        )
    if len(found) > _NAMED_GAPS:
        log.warning(
            "%s: steps are missing at %d more places; 'atmorep-k data check' lists all",
            *(store.path, len(found) - _NAMED_GAPS),
        )


def record(store: Store) -> str:
    """Returns the times of a store, as words for a message."""
    first, last = (iso(store.time[i]) for i in (0, -1))
    step = np.diff(store.time).min() / np.timedelta64(1, "h") if len(store.time) > 1 else 0
    return f"{first} to {last} every {step:g} h"
