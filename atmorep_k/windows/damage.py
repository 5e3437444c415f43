"""Finds what of a store cannot be read, and tells it: which variable, when and where."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from atmorep_k.data.stores.base import Store
from atmorep_k.earth.times import iso
from atmorep_k.errors import UserError

Window = tuple[slice, slice, Sequence[slice]]


def failure(
    error: Exception,
    store: Store,
    variable: str,
    array,
    chunk: tuple[int, int, int],
    window: Window,
) -> UserError:
    """Returns what to tell the user where a window cannot be read.

    Its chunks are read one by one, until one fails.

    Args:
        error: what tensorstore raised.
        store: the store.
        variable: the variable.
        array: tensorstore's view (level, time, lat, lon) of it.
        chunk: points of a chunk in (time, lat, lon).
        window: times, rows, and columns in one range or two.
    """
    shape, where = (len(store.time), len(store.latitude), len(store.longitude)), ""
    for place in _chunks_of(window, chunk, shape):
        try:
            array[(slice(None), *place)].read().result()
        except ValueError as found:
            error, where = found, f" at {extent(store, *place)}"
            break
    return UserError(
        f"cannot read {variable!r} of {store.path}{where}: {reason(error)}; {listing(store)}."
    )


def reason(error: Exception) -> str:
    """Returns what tensorstore says, without the whole specification of the array."""
    return str(error).split(" [")[0].rstrip(".")


def listing(store: Store) -> str:
    """Returns the words that tell how to find all damage of a store."""
    return f"'atmorep-k data check {store.path}' lists all the damage"


def extent(store: Store, times: slice, rows: slice, columns: slice) -> str:
    """Returns the times and places of a part of a store, as words for a message."""
    when = (iso(store.time[i]) for i in (times.start, times.stop - 1))
    north, south = (store.latitude[i] for i in (rows.start, rows.stop - 1))
    west, east = (store.longitude[i] for i in (columns.start, columns.stop - 1))
    return f"{' to '.join(when)}, latitudes {north:g} to {south:g}, longitudes {west:g} to {east:g}"


def _chunks_of(window: Window, chunk, shape) -> Iterator[tuple[slice, ...]]:
    """Yields the whole chunks that a window touches."""
    times, rows, columns = window
    ranges = [[times], [rows], columns]
    touched = [_touched(of, size) for of, size in zip(ranges, chunk, strict=True)]
    for numbers in itertools.product(*touched):
        corner = np.multiply(numbers, chunk)
        yield tuple(map(slice, corner, np.minimum(corner + chunk, shape)))


def _touched(ranges: Sequence[slice], size: int) -> list[int]:
    """Returns the numbers of the chunks along one axis."""
    numbers = [n for s in ranges for n in range(s.start // size, (s.stop - 1) // size + 1)]
    return list(dict.fromkeys(numbers))
