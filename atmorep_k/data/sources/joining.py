"""Pieces of many files joined along time and level, and checked to fit each other."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from atmorep_k.data.sources.pieces import Piece
from atmorep_k.earth.units import conversion
from atmorep_k.earth.variables import VariableInfo, variable_info
from atmorep_k.errors import UserError

_SAME_DEGREES = 3e-4


@dataclasses.dataclass(frozen=True)
class _Series:
    """Pieces of one variable with the same levels, one after the other in time.

    Args:
        pieces: the pieces.
        time: `(time,)` ascending.
        piece: `(time,)` number of the piece that has the step.
        step: `(time,)` its step in that piece.
        level: `(level,)` ascending, those wanted; empty at the surface.
    """

    pieces: list[Piece]
    time: np.ndarray
    piece: np.ndarray
    step: np.ndarray
    level: np.ndarray

    def read(self, start: int, stop: int) -> np.ndarray:
        """Returns steps start..stop, `(time, level, lat, lon)` float32."""
        piece, step = self.piece[start:stop], self.step[start:stop]
        ends = np.flatnonzero((np.diff(piece) != 0) | (np.diff(step) != 1)) + 1
        runs = zip([0, *ends], [*ends, len(step)], strict=True)
        parts = [self._read(self.pieces[piece[a]], step[a], step[b - 1] + 1) for a, b in runs]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _read(self, piece: Piece, start: int, stop: int) -> np.ndarray:
        at_surface = np.zeros(1, int)
        index = np.searchsorted(piece.level, self.level) if len(self.level) else at_surface
        return piece.read(int(start), int(stop), index)


@dataclasses.dataclass(frozen=True)
class Joined:
    """One variable of all sources, in the units of the store.

    Args:
        name: its name in the store.
        info: units and names.
        level: `(level,)` ascending; empty at the surface.
        time: `(time,)` datetime64[s] ascending.
        series: parts of the variable with different levels.
        level_order: index that brings the levels of all series to ascending order.
        scale: factor and offset to the units of the store.
    """

    name: str
    info: VariableInfo
    level: np.ndarray
    time: np.ndarray
    series: list[_Series]
    level_order: np.ndarray
    scale: tuple[float, float]

    @property
    def time_chunk(self) -> int:
        """Time steps that the sources store together, at most."""
        return max(p.time_chunk for s in self.series for p in s.pieces)

    def read(self, start: int, stop: int) -> np.ndarray:
        """Returns steps start..stop in the store's units, `(time, level, lat, lon)` float32."""
        parts = [series.read(start, stop) for series in self.series]
        values = parts[0]
        if len(parts) > 1:
            values = np.concatenate(parts, axis=1)[:, self.level_order]
        factor, offset = self.scale
        if self.scale != (1.0, 0.0):
            values = (values.astype(np.float64) * factor + offset).astype(np.float32)
        return values

    def after(self, number: int) -> "Joined":
        """Returns the variable without its first time steps."""
        series = [
            dataclasses.replace(
                s, time=s.time[number:], piece=s.piece[number:], step=s.step[number:]
            )
            for s in self.series
        ]
        return dataclasses.replace(self, time=self.time[number:], series=series)


def join(pieces: Sequence[Piece], levels: Sequence[float] = ()) -> list[Joined]:
    """Joins pieces to variables that have the same grid, times and levels.

    Args:
        pieces: what to join; all of them are stored.
        levels: levels wanted; all if empty.

    Raises:
        UserError: if grids, times, levels, units or overlapping values differ, or a level is
            not there.
    """
    check_same_grid(pieces)
    names = sorted({p.name for p in pieces})
    kinds = {p.level_type: p for p in pieces if len(p.level)}
    if len(kinds) > 1:
        one, other = list(kinds.values())[:2]
        raise UserError(
            f"{one.name!r} lies on {one.level_type or 'unknown'} levels, {other.name!r} on "
            f"{other.level_type or 'unknown'} levels; prepare them as two stores."
        )
    joined = [_join_variable(n, [p for p in pieces if p.name == n], levels) for n in names]
    if len(levels) and not any(len(j.level) for j in joined):
        raise UserError("levels were given, but no variable has levels.")
    _check_same(joined)
    check_step(joined[0].time)
    return joined


def check_same_grid(pieces: Sequence[Piece]) -> None:
    """Checks that pieces have the same latitudes and longitudes.

    Raises:
        UserError: if they have not.
    """
    first = pieces[0]
    for piece in pieces[1:]:
        for name in ("latitude", "longitude"):
            one, other = getattr(first, name), getattr(piece, name)
            if len(one) != len(other) or np.abs(one - other).max() > _SAME_DEGREES:
                raise UserError(
                    f"{first.source} and {piece.source} have different grids: {name} "
                    f"{_span(one)} and {_span(other)}; prepare them as two stores."
                )


def _span(values: np.ndarray) -> str:
    return f"{values[0]:g} to {values[-1]:g} ({len(values)} points)"


def _join_variable(name: str, pieces: list[Piece], levels: Sequence[float]) -> Joined:
    if len({bool(len(p.level)) for p in pieces}) > 1:
        raise UserError(f"{name!r} comes both with levels and at the surface; give one of the two.")
    _check_levels(name, pieces, levels)
    groups: dict[tuple, list[Piece]] = {}
    for piece in pieces:
        wanted = piece.level[np.isin(piece.level, levels)] if len(levels) else piece.level
        if len(wanted) or not len(piece.level):
            groups.setdefault(tuple(wanted), []).append(piece)
    series = [_join_time(name, group, np.array(level)) for level, group in groups.items()]
    for other in series[1:]:
        _check_times(repr(name), series[0].time, f"{name!r} at another level", other.time)
    level = np.concatenate([s.level for s in series])
    order = np.argsort(level)
    if np.any(np.diff(level[order]) <= 0):
        raise UserError(f"{name!r}: a level occurs in two sets of files with different levels.")
    info, scale = _units(name, pieces)
    return Joined(name, info, level[order], series[0].time, series, order, scale)


def _check_levels(name: str, pieces: list[Piece], levels: Sequence[float]) -> None:
    there = np.unique(np.concatenate([p.level for p in pieces]))
    if not len(there):
        return
    for level in levels:
        if level not in there:
            near = there[np.argmin(np.abs(there - level))]
            raise UserError(
                f"{name!r} has no level {level:g}; the nearest is {near:g}. "
                f"Its levels are {', '.join(f'{v:g}' for v in there)}."
            )


def _join_time(name: str, pieces: list[Piece], level: np.ndarray) -> _Series:
    time = np.concatenate([p.time for p in pieces])
    piece = np.repeat(np.arange(len(pieces)), [len(p.time) for p in pieces])
    step = np.concatenate([np.arange(len(p.time)) for p in pieces])
    order = np.argsort(time, kind="stable")
    time, piece, step = time[order], piece[order], step[order]
    series = _Series(pieces, time, piece, step, level)
    repeated = np.flatnonzero(np.diff(time) == np.timedelta64(0, "s")) + 1
    for i in repeated:
        _check_equal(name, series, int(i))
    keep = np.setdiff1d(np.arange(len(time)), repeated)
    return dataclasses.replace(series, time=time[keep], piece=piece[keep], step=step[keep])


def _check_equal(name: str, series: _Series, step: int) -> None:
    one, other = series.read(step - 1, step), series.read(step, step + 1)
    if not np.array_equal(one, other, equal_nan=True):
        sources = [series.pieces[series.piece[i]].source for i in (step - 1, step)]
        raise UserError(
            f"{name!r} has different values for {series.time[step]} in {sources[0]} and "
            f"{sources[1]}; give one of them."
        )


def _units(name: str, pieces: list[Piece]) -> tuple[VariableInfo, tuple[float, float]]:
    """Returns what is known of the variable and how its values come to those units."""
    units = {p.units for p in pieces}
    if len(units) > 1:
        raise UserError(f"{name!r} has different units in its files: {', '.join(sorted(units))}.")
    first, known = pieces[0], variable_info(name)
    has_level, comment = len(first.level) > 0, first.comment
    if known is None:
        info = VariableInfo(first.units, first.standard_name, first.long_name, has_level, comment)
        return info, (1.0, 0.0)
    scale = conversion(first.units, known.units) if first.units else (1.0, 0.0)
    if not first.units:
        comment = f"{comment}; the source gives no units".lstrip("; ")
    elif scale is None:
        comment = f"{comment}; in the units of the source, not {known.units}".lstrip("; ")
    info = dataclasses.replace(
        known,
        units=first.units if scale is None else known.units,
        standard_name=known.standard_name if scale is not None else first.standard_name,
        has_level=has_level,
        comment=comment,
    )
    return info, scale or (1.0, 0.0)


def _check_same(joined: Sequence[Joined]) -> None:
    first = joined[0]
    for other in joined[1:]:
        _check_times(repr(first.name), first.time, repr(other.name), other.time)
    with_level = [j for j in joined if len(j.level)]
    for other in with_level[1:]:
        if not np.array_equal(with_level[0].level, other.level):
            common = np.intersect1d(with_level[0].level, other.level)
            raise UserError(
                f"{with_level[0].name!r} and {other.name!r} have different levels; choose among "
                f"the common ones with --level: {', '.join(f'{v:g}' for v in common) or 'none'}."
            )


def _check_times(name: str, time: np.ndarray, other_name: str, other: np.ndarray) -> None:
    if not np.array_equal(time, other):
        raise UserError(
            f"{name} and {other_name} have different times: {_period(time)} and "
            f"{_period(other)}; prepare them as two stores, or give files of the same times."
        )


def _period(time: np.ndarray) -> str:
    first, last = (np.datetime_as_string(t, "m") for t in (time[0], time[-1]))
    return f"{first} to {last} ({len(time)} steps)"


def check_step(time: np.ndarray) -> None:
    """Checks that times (datetime64[s], ascending) lie whole steps apart.

    Raises:
        UserError: if they do not.
    """
    steps = np.diff(time)
    if len(steps) and np.any(steps % steps.min()):
        odd = int(np.flatnonzero(steps % steps.min())[0])
        raise UserError(
            f"the times are irregular: the step from {time[odd]} to {time[odd + 1]} is not a "
            f"multiple of the smallest, {steps.min().astype('timedelta64[m]')}."
        )
