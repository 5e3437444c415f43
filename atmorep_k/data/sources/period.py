"""Pieces cut to a period, so that a part of a long record can be taken."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from atmorep_k.data.sources.pieces import Piece
from atmorep_k.errors import UserError


def within(pieces: Sequence[Piece], period: Sequence[str]) -> list[Piece]:
    """Cuts pieces to a period; those without a time in it are left out.

    Args:
        pieces: what to cut.
        period: first and last day, month, year or time, both included: `("2019", "2020-06")` is
            January 2019 to June 2020.

    Raises:
        UserError: where the period is none, or a variable has no time in it.
    """
    first, end = limits(period)
    cut = [c for piece in pieces if (c := _cut(piece, first, end)) is not None]
    for name in dict.fromkeys(p.name for p in pieces):
        if name not in {p.name for p in cut}:
            times = [t for p in pieces if p.name == name for t in p.time[[0, -1]]]
            raise UserError(
                f"{name!r} has no time from {period[0]} to {period[1]}; its record goes from "
                f"{min(times)} to {max(times)}."
            )
    return cut


def limits(period: Sequence[str]) -> tuple[np.datetime64, np.datetime64]:
    """Returns the first time of a period and the one after its last.

    Raises:
        UserError: where the period is none.
    """
    try:
        first, last = (np.datetime64(text) for text in period)
        ends = first.astype("datetime64[s]"), (last + 1).astype("datetime64[s]")
    except (ValueError, TypeError) as error:
        raise _no_period(period) from error
    if np.isnat(first) or np.isnat(last) or not ends[0] < ends[1]:
        raise _no_period(period)
    return ends


def _no_period(period: Sequence[str]) -> UserError:
    return UserError(
        f"a period needs its first and last day, like 2019-01-01 2019-12-31, or months or years, "
        f"not {' '.join(map(str, period))!r}."
    )


def _cut(piece: Piece, first: np.datetime64, end: np.datetime64) -> Piece | None:
    start, stop = np.searchsorted(piece.time, [first, end])
    if start == stop:
        return None
    read = _Later(piece, int(start)) if start else piece.read
    return dataclasses.replace(piece, time=piece.time[start:stop], read=read)


class _Later:
    """Reads a piece from one of its steps on."""

    def __init__(self, piece: Piece, offset: int):
        self._piece, self._offset = piece, offset

    def __call__(self, start: int, stop: int, level_index: np.ndarray) -> np.ndarray:
        return self._piece.read(start + self._offset, stop + self._offset, level_index)
