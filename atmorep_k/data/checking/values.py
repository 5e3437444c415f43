"""Checks of all values of a variable: missing, frozen, impossible, in other units than is said."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from atmorep_k.data.checking.block_summary import BlockSummary, Limits, summarise
from atmorep_k.data.checking.bounds import Bounds, bounds_of, may_rest
from atmorep_k.data.checking.findings import Finding, Severity
from atmorep_k.data.checking.patches import Patch
from atmorep_k.data.checking.survey import Survey
from atmorep_k.data.checking.unit_slips import find_slips
from atmorep_k.data.checking.value_reader import Block, ValueReader, values_of
from atmorep_k.data.stores.base import Store
from atmorep_k.data.stores.statistics import area_weights
from atmorep_k.data.writing.executors import in_order
from atmorep_k.earth.times import iso

# Beyond the bounds by so much of their width: rounding; a warning; else an error.
_ROUNDING, _SLIGHT = 1e-4, 1e-2
Tile = tuple[int, int, int]
Tiles = set[Tile]


def survey_values(
    store: Store,
    variable: str,
    lost: Tiles,
    *,
    threads: int = 1,
    progress: Callable[[int], None] = lambda number: None,
) -> Survey:
    """Reads all values of a variable once, and returns what was seen.

    In memory are `threads` blocks of about 32 MiB (or one chunk, where that is larger) with some
    copies of each, and a few numbers for each level and month of the record.

    Args:
        store: the open store.
        variable: its name.
        lost: tiles without a file, which are left out.
        threads: blocks that are read at once.
        progress: called with the bytes (float32) of values that were done since its last call.

    Raises:
        ValueError: if the array cannot be opened.
    """
    reader = values_of(store, variable, threads)
    look = _Look(reader, store, _limits(_bounds(store, variable), reader.levels))
    survey = Survey(store.time, reader.levels)
    with ThreadPoolExecutor(threads) as pool:
        for row in reader.rows():
            present = [block for block in row if block.tile not in lost]
            seen = in_order(pool, threads, look, present)
            survey.add(row[0].start[0], row[0].stop[0], _note_unread(seen, survey, reader.levels))
            progress(sum(_points(block) for block in row) * 4 * reader.levels)
    return survey


def _note_unread(seen, survey: Survey, levels: int) -> Iterator[BlockSummary]:
    """Yields the summaries, and tells the survey of what could not be read."""
    for summaries, unread in seen:
        for block in unread:
            survey.add_unread(_whole(block, levels))
        yield from summaries


def _points(block: Block) -> int:
    return int(np.prod(np.subtract(block.stop, block.start), dtype=np.int64))


def _whole(block: Block, levels: int) -> Patch:
    high = (block.stop[0] - 1, levels - 1, *(n - 1 for n in block.stop[1:]))
    return Patch(1, block.corner, block.corner, high, frozenset(range(levels)))


class _Look:
    """Reads a block and returns its summaries, and the chunks of it that cannot be decoded."""

    def __init__(self, reader: ValueReader, store: Store, limits: Limits):
        self._reader, self._limits = reader, limits
        self._weights = _row_weights(store.latitude)

    def __call__(self, block: Block) -> tuple[list[BlockSummary], list[Block]]:
        try:
            return [self._summary(block)], []
        except ValueError:  # what tensorstore raises for any failure to read
            seen, unread = [], []
            for part in block.cut(self._reader.chunk):
                try:
                    seen.append(self._summary(part))
                except ValueError:
                    unread.append(part)
            return seen, unread

    def _summary(self, block: Block) -> BlockSummary:
        weights = self._weights[block.start[1] : block.stop[1]]
        return summarise(self._reader.read(block), block, weights, self._limits)


def _row_weights(latitude: np.ndarray) -> np.ndarray:
    """Returns the share of the area of each row; rows in disorder count alike."""
    steps = np.diff(latitude)
    if np.all(steps < 0):
        return area_weights(latitude)
    if np.all(steps > 0):
        return area_weights(latitude[::-1])[::-1]
    return np.full(len(latitude), 1 / len(latitude))


def _bounds(store: Store, variable: str) -> list[Bounds | None]:
    info, kind = store.variables[variable], store.attributes.get("level_type", "")
    return [bounds_of(variable, info, level, kind) for level in store.levels_of(variable)]


def _limits(bounds: list[Bounds | None], levels: int, room: float = _ROUNDING) -> Limits:
    low, high = np.full(levels, -np.inf), np.full(levels, np.inf)
    for level, of in enumerate(bounds):
        if of is not None:
            width = room * (of.high - of.low)
            low[level], high[level] = of.low - width, of.high + width
    return Limits(low, high)


def check_stored_values(store: Store, variable: str, survey: Survey) -> list[Finding]:
    """Returns what is wrong with the values of a variable.

    Args:
        store: the open store.
        variable: its name.
        survey: of all its values.
    """
    told = _Told(store, variable)
    found = []
    if survey.unread:
        found.append(told.patch("error", "chunk(s) cannot be decoded", survey.unread))
    if survey.bad:
        found.append(told.patch("error", "value(s) are missing or infinite", survey.bad))
    if not survey.months:
        return found
    info, bounds = store.variables[variable], _bounds(store, variable)
    slips, named = find_slips(
        variable, info, store.levels_of(variable), bounds, survey, jumps=not may_rest(variable)
    )
    if survey.beyond and not survey.beyond.levels <= named:
        found.append(_beyond(told, bounds, survey, survey.beyond))
    return [*found, *slips, *_still(told, store, survey)]


def _beyond(told: "_Told", bounds: list[Bounds | None], survey: Survey, beyond: Patch) -> Finding:
    widest = _limits(bounds, len(bounds), _SLIGHT)
    levels = sorted(beyond.levels)
    is_slight = (survey.low >= widest.low)[levels].all() and (survey.high <= widest.high)[
        levels
    ].all()
    of = bounds[levels[0]]
    assert of is not None, "no value is beyond bounds that are not known"
    low, high = survey.low[levels].min(), survey.high[levels].max()
    words = (
        f"value(s) are outside the possible range ({of.low:g} to {of.high:g} {told.units}), "
        f"the level goes from {low:.6g} to {high:.6g}"
    )
    return told.patch("warning" if is_slight else "error", words, beyond)


def _still(told: "_Told", store: Store, survey: Survey) -> list[Finding]:
    """Returns levels and hours at which nothing changes."""
    rests = may_rest(told.variable)
    constant = [i for i in range(len(survey.low)) if survey.low[i] == survey.high[i]]
    found = []
    if constant:
        words = "the same value at all times and places: no model can learn from it"
        # Other levels may serve, and a place may have no rain or ice.
        severity: Severity = "warning" if rests or len(constant) < len(survey.low) else "error"
        found.append(told.levels(severity, words, constant))
    if rests:
        return found
    known = any(of is not None for of in _bounds(store, told.variable))
    severity = "error" if known else "warning"
    for patch, words in (
        (survey.frozen, "step(s) are the same everywhere as the step before"),
        (survey.uniform, "step(s) have one value everywhere"),
    ):
        if patch and not patch.levels <= set(constant):
            found.append(told.steps(severity, words, patch))
    return found


class _Told:
    """Tells of places of a variable in the words of its store."""

    def __init__(self, store: Store, variable: str):
        self._store, self.variable = store, variable
        self._info = store.variables[variable]
        self.units = self._info.units
        self._levels = store.levels_of(variable)

    def patch(self, severity: Severity, words: str, patch: Patch) -> Finding:
        """Returns a finding of points of the field: their number, the first, the box of all."""
        time, level, row, column = patch.first
        store = self._store
        at_level = f", level {self._levels[level]:g}" if self._info.has_level else ""
        first = (
            f"first at {iso(store.time[time])}{at_level}, latitude {store.latitude[row]:g}, "
            f"longitude {store.longitude[column]:g}"
        )
        rows, columns = ((patch.low[axis], patch.high[axis]) for axis in (2, 3))
        return Finding(
            severity,
            "values",
            f"{patch.count} {words}, {first}",
            **self._where(patch),
            latitude=tuple(float(store.latitude[i]) for i in rows),
            longitude=tuple(float(store.longitude[i]) for i in columns),
        )

    def steps(self, severity: Severity, words: str, patch: Patch) -> Finding:
        """Returns a finding of whole steps of some levels."""
        return Finding(severity, "values", f"{patch.count} {words}", **self._where(patch))

    def levels(self, severity: Severity, words: str, levels: list[int]) -> Finding:
        """Returns a finding of whole levels."""
        return Finding(
            severity,
            "values",
            words,
            self.variable,
            levels=self._named(levels),
            count=len(levels),
        )

    def _where(self, patch: Patch) -> dict:
        return {
            "variable": self.variable,
            "first": iso(self._store.time[patch.low[0]]),
            "last": iso(self._store.time[patch.high[0]]),
            "levels": self._named(sorted(patch.levels)),
            "count": patch.count,
        }

    def _named(self, levels: list[int]) -> tuple[float, ...]:
        return tuple(float(self._levels[i]) for i in levels) if self._info.has_level else ()
