"""One store that serves some fields of a model."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from atmorep_k.data.linked.store import LinkedStore
from atmorep_k.data.stores.base import Store
from atmorep_k.data.stores.packing import Packing
from atmorep_k.earth.times import iso
from atmorep_k.errors import UserError
from atmorep_k.fields import FieldSpec, Position
from atmorep_k.windows import checks, periods, placing
from atmorep_k.windows.arrays import TokenInfoFiller
from atmorep_k.windows.filling import fill_tokens
from atmorep_k.windows.linked_reader import LinkedReader
from atmorep_k.windows.placing import NOWHERE, Times
from atmorep_k.windows.reader import Reader, Reading

Shape = tuple[int, int, int]
# Times, latitudes and longitudes of a window -> bool (time, lat, lon).
Without = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]

_WORDS = ("title", "source", "attribution", "simulated")


class Serving:
    """Fields that one store serves, all with one window.

    Windows are asked for by their `Position` in the reference, which is a serving too. It is made
    in steps: all checks without reading, then `follow`, then `open`.

    Args:
        name: the store as the user calls it.
        store: the open store.
        fields: the fields.

    Raises:
        UserError: if the store lacks a field or a level, or the window's step does not suit it.
    """

    def __init__(self, name: str, store: Store, fields: Sequence[FieldSpec]):
        self.name = name
        self.store = store
        self.fields = list(fields)
        self.window = self.fields[0].window
        self.levels = {f.name: checks.level_index(store, f) for f in self.fields}
        self.stride = periods.store_stride(store.time, self.window)
        self.time = store.time

    def extend(self, windows: int) -> None:
        """Adds some windows of times after the record, which are served without values."""
        number = windows * self.stride * self.window.shape[0]
        self.time = periods.extended(self.store.time, number)

    def follow(self, reference: "Serving") -> None:
        """Finds where each window of the reference lies in this store.

        Raises:
            UserError: if windows are not of the same degrees; names the nearest shape that fits.
        """
        self._check_degrees(reference)
        self._reference = reference
        self._first = self._times().first_of(reference._times())
        rows, columns = self._places()
        their_rows, their_columns = reference._places()
        self._rows = rows.corners_of(their_rows)
        # One store may count longitudes from 0, another from -180.
        self._columns = columns.corners_of(their_columns, period=360.0)

    def _times(self) -> Times:
        return Times(self.time, self.window.shape[0], self.stride)

    def _places(self) -> tuple[placing.Places, placing.Places]:
        _, height, width = self.window.shape
        return placing.latitudes(self.store, height), placing.longitudes(self.store, width)

    def _check_degrees(self, reference: "Serving") -> None:
        pairs = list(zip(self._places(), reference._places(), strict=True))
        if all(abs(a.extent - b.extent) <= a.tolerance(b) for a, b in pairs):
            return
        ours, theirs = (
            f"{rows.extent:g} x {columns.extent:g} degrees (lat, lon)"
            for rows, columns in zip(*pairs, strict=True)
        )
        sizes = [a.fitting(b) for a, b in pairs]
        name, times = self.fields[0].name, self.window.shape[0]
        fits = f"the nearest shape that fits {name!r} is {(times, *sizes)}"
        if None in sizes:
            fits = f"no shape fits {name!r} in a grid of {self._grid()}"
        raise UserError(
            f"fields {reference.fields[0].name!r} and {name!r} see different windows: {theirs} of "
            f"{reference.store.path} and {ours} of {self.store.path}; {fits}."
        )

    def _grid(self) -> str:
        rows, columns = self._places()
        points = f"{len(self.store.latitude)} x {len(self.store.longitude)} points"
        return f"{points}, {rows.spacing:g} x {columns.spacing:g} degrees apart"

    def places(self, rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns those rows and columns of the reference whose windows are in this store."""
        return rows[self._rows[rows] != NOWHERE], columns[self._columns[columns] != NOWHERE]

    def starts(self, starts: np.ndarray, span: periods.Span) -> np.ndarray:
        """Returns those times of the reference whose windows are in this store and a span."""
        first = self._first[starts]
        after, _ = span  # No window ends after the reference's.
        return starts[(first != NOWHERE) & (self.time[first] > after)]

    def within(self, spans: Iterable[periods.Span]) -> np.ndarray:
        """Returns the indices of the record's times in any of some spans."""
        inside = [(self.store.time > after) & (self.store.time <= last) for after, last in spans]
        return np.flatnonzero(np.logical_or.reduce(inside))

    def open(self, normalizers: Mapping[str, Any], times: np.ndarray | None, threads: int) -> None:
        """Fits the normalisers that are not, and opens the arrays.

        Args:
            normalizers: field -> normaliser, also of other fields.
            times: indices of the times that will be normalised; None if not known.
            threads: see `Reader`.

        Raises:
            UserError: if statistics are missing, do not suit, or an array cannot be opened.
        """
        self._normalizers = {f.name: normalizers[f.name] for f in self.fields}
        for field in self.fields:
            self._fit(field, None if times is None else self.store.time[times])
        grid = self.store.latitude, self.store.longitude, self.store.resolution[0]
        self._token_info = {f.name: TokenInfoFiller(f, self.time, *grid) for f in self.fields}
        self.reader: Reader | LinkedReader
        if isinstance(self.store, LinkedStore):
            self.reader = LinkedReader(self.store, self.levels, threads)
        else:
            self.reader = Reader(self.store, self.levels, threads)

    def _fit(self, field: FieldSpec, times: np.ndarray | None) -> None:
        normalizer, store = self._normalizers[field.name], self.store
        # A normalizer that came with a model keeps the statistics that the model was trained with.
        if normalizer.is_fitted:
            checks.check_normalizer(store, field, normalizer)
            return
        statistics = store.statistics(field.name, self.levels[field.name])
        normalizer.fit(statistics, field.normalization, store.latitude, store.longitude, times)

    def provenance(self) -> dict[str, Any]:
        """Returns what a model should remember of the store."""
        attributes = self.store.attributes
        return {
            "store": self.name,
            "fingerprint": self.store.fingerprint,
            **{word: attributes[word] for word in _WORDS if word in attributes},
        }

    def corner(self, position: Position) -> Position:
        """Returns where a window lies in this store.

        Raises:
            UserError: if the store does not have the window.
        """
        places = (
            (self._first, position.time),
            (self._rows, position.row),
            (self._columns, position.column),
        )
        own = [int(of[i]) if 0 <= i < len(of) else NOWHERE for of, i in places]
        if NOWHERE in own:
            missing = "times" if own[0] == NOWHERE else "place"
            has = checks.record(self.store) if own[0] == NOWHERE else checks.area(self.store)
            raise UserError(
                f"{self.store.path} does not have the {missing} of the window at {position} of "
                f"{self._reference.store.path}{self._reference.where(position)}, which "
                f"{self.fields[0].name!r} needs; it has {has}."
            )
        return Position(*own)

    def where(self, position: Position) -> str:
        """Returns time and place of a position in this store, as words for a message."""
        axes = (
            (self.time, position.time),
            (self.store.latitude, position.row),
            (self.store.longitude, position.column),
        )
        if not all(0 <= i < len(axis) for axis, i in axes):
            return ""
        time, latitude, longitude = (axis[i] for axis, i in axes)
        return f" ({iso(time)}, latitude {latitude:g}, longitude {longitude:g})"

    def indices(self, position: Position, shape: Shape | None = None) -> checks.Indices:
        """Returns the indices of times, rows and columns of a window in this store.

        Args:
            position: its corner in the reference.
            shape: points in (time, lat, lon) of a block other than the window, with its step.
        """
        corner = self.corner(position)
        times, rows, columns = (np.arange(n) for n in shape or self.window.shape)
        return (
            corner.time + times * self.stride,
            corner.row + rows,
            (corner.column + columns) % len(self.store.longitude),
        )

    def coordinates(self, position: Position) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns times (datetime64), latitudes and longitudes of a window."""
        times, rows, columns = self.indices(position)
        return self.time[times], self.store.latitude[rows], self.store.longitude[columns]

    def read(self, field: str, position: Position, shape: Shape | None = None) -> Reading:
        """Starts to read a window, or as `indices`; `.result()` gives (level, time, lat, lon)."""
        corner, (times, height, width) = self.corner(position), shape or self.window.shape
        record = len(self.store.time)
        first, last = corner.time, corner.time + (times - 1) * self.stride
        return self.reader.read(
            field,
            # Hours after the record have no values: the slice ends with it, and `fill` pads.
            slice(min(first, record), min(last + 1, record), self.stride),
            slice(corner.row, corner.row + height),
            corner.column,
            width,
        )

    def whole(self, field: FieldSpec, reading: Reading, position: Position) -> np.ndarray:
        """Waits for a window; returns it as stored, without hours after the record.

        Raises:
            UserError: if it cannot be read, or a value is missing.
        """
        stored = reading.result()
        checks.check_window_values(self.store, field, stored, self.indices(position))
        return stored

    def with_gaps(
        self, field: FieldSpec, reading: Reading, position: Position, without: Without | None
    ) -> np.ndarray:
        """Waits for a window; returns its values, float32, NaN where they are missing.

        Args:
            field: the field.
            reading: the window being read.
            position: where it lies in the reference.
            without: what counts as missing besides; None for nothing.

        Raises:
            UserError: if it cannot be read.
        """
        values = self.physical(field, reading.result())
        # Infinite values count as missing, too.
        values = np.where(np.isfinite(values), values, np.float32(np.nan))
        if without is not None:
            values[:, without(*self.coordinates(position))] = np.nan
        return values

    def physical(self, field: FieldSpec, stored: np.ndarray) -> np.ndarray:
        """Returns the values of a window that was read, float32; NaN at hours after the record."""
        if packing := self._packing(field, stored):
            stored = packing.unpack(stored.swapaxes(0, 1)).swapaxes(0, 1)
        if after := self.window.shape[0] - stored.shape[1]:
            stored = np.pad(stored, [(0, 0), (0, after), (0, 0), (0, 0)], constant_values=np.nan)
        return stored

    def _packing(self, field: FieldSpec, stored: np.ndarray) -> Packing | None:
        """Returns what integers of a field stand for; None for values."""
        return self.reader.packing(field.name) if stored.dtype.kind == "i" else None

    def fill(self, field: FieldSpec, stored, position: Position, tokens, info) -> None:
        """Writes one field of one window into the arrays of a batch.

        Args:
            field: the field.
            stored: the window (level, time, lat, lon) as stored, or its values; not changed.
            position: where it lies in the reference.
            tokens: (level, T, Y, X, value), filled with normalised values; 0 after the record.
            info: (level, T, Y, X, 8), filled.
        """
        times, rows, columns = self.indices(position)
        scale = self._normalizers[field.name].scale(self.time[times], rows, columns)
        after = self.window.shape[0] - stored.shape[1]
        if after:
            stored = np.pad(stored, [(0, 0), (0, after), (0, 0), (0, 0)])
        packing = self._packing(field, stored)
        fill_tokens(stored, packing, scale, field.token_size, tokens)
        if after:
            # A padded 0 was normalised like a value: set these hours to 0 through a view by time.
            by_time = tokens.reshape(*tokens.shape[:4], field.token_size[0], -1)
            late = (times >= len(self.store.time)).reshape(len(tokens[0]), 1, 1, -1)
            by_time[:, np.broadcast_to(late, by_time.shape[1:5])] = 0.0
        self._token_info[field.name].fill(info, times, rows, columns)

    def describe(self, field: str, position: Position, info: np.ndarray) -> None:
        """Writes the numbers that describe a window's tokens into `info`."""
        self._token_info[field].fill(info, *self.indices(position))
