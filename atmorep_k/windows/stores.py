"""The stores that serve a model, and the windows that all of them have."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from atmorep_k.data.named import store_path
from atmorep_k.data.opening import open_store
from atmorep_k.earth.variables import canonical_name
from atmorep_k.errors import UserError, unknown
from atmorep_k.fields import FieldSpec
from atmorep_k.windows import checks, periods
from atmorep_k.windows.positions import allowed_corners
from atmorep_k.windows.serving import Serving


class Stores:
    """All stores of a dataset. One is the reference: windows are counted in its points.

    Args:
        fields: the fields of a model.
        store: the store of all fields that have none of their own.
        stores: name or alias of a field -> the store of its own.
        reference: the field whose store is the reference; the first one in `store` if None, or
            where there is none the first field.

    Raises:
        UserError: if a name is not one of the fields, or a store cannot serve a field.
    """

    def __init__(
        self,
        fields: Sequence[FieldSpec],
        store: str,
        stores: dict[str, str] | None = None,
        reference: str | None = None,
    ):
        own = _own(fields, stores)
        if reference is None:
            reference = next((f.name for f in fields if f.name not in own), fields[0].name)
        self.servings = _servings(fields, {f.name: own.get(f.name, store) for f in fields})
        self._of_field = {f.name: of for of in self.servings for f in of.fields}
        self.reference = self._of_field[reference]

    def __getitem__(self, field: str | None) -> Serving:
        """Returns what serves a field; the reference if None."""
        return self.reference if field is None else self._of_field[field]

    @property
    def in_flight(self) -> int:
        """How many windows a thread should ask for before it waits for the first."""
        return max(serving.reader.in_flight for serving in self.servings)

    def extend(self, windows: int) -> None:
        """Adds some windows of times after each record, see `Serving.extend`."""
        for serving in self.servings:
            serving.extend(windows)

    def corners(self, region: Sequence[float] | None) -> tuple[np.ndarray, np.ndarray]:
        """Returns the rows and columns of the reference at which all stores have a window.

        Args:
            region: see `positions.allowed_corners`.

        Raises:
            UserError: if windows are of different degrees, or no place is in all stores.
        """
        store, (_, height, width) = self.reference.store, self.reference.window.shape
        # The region is one of the reference; each store then drops the places that it lacks.
        rows, columns = allowed_corners(
            store.latitude, store.longitude, store.is_global, (height, width), region
        )
        for serving in self.servings:
            serving.follow(self.reference)
            rows, columns = serving.places(rows, columns)
            if not len(rows) or not len(columns):
                raise checks.no_common_place(store, serving.store, serving.fields[0])
        return rows, columns

    def starts(self, name: str, period: tuple[int, int], span: periods.Span) -> np.ndarray:
        """Returns the times of the reference at which all stores have a window of a period.

        Args:
            name: the period's name, for the message.
            period: its first and last time, see `periods.split`.
            span: the hours that it stands for.

        Raises:
            UserError: if no window fits.
        """
        store, window = self.reference.store, self.reference.window
        starts = periods.allowed_starts(name, store.time, period, window, self.reference.stride)
        for serving in self.servings:
            starts = serving.starts(starts, span)
            if not len(starts):
                raise checks.no_common_time(name, store, serving.store, serving.fields[0])
        return starts

    def open(
        self, normalizers: dict[str, Any], spans: Iterable[periods.Span] | None, threads: int
    ) -> None:
        """Fits normalisers, for the times in some spans if these are known, and opens arrays."""
        for serving in self.servings:
            times = None if spans is None else serving.within(spans)
            serving.open(normalizers, times, threads)

    def provenance(self) -> dict[str, Any]:
        """Returns what a model should remember of the stores: the reference, then the others."""
        reference = self.reference.store
        others = {n: of for n, of in self._of_field.items() if of.store is not reference}
        told = {"stores": {n: of.provenance() for n, of in others.items()}} if others else {}
        units = {n: of.store.variables[n].units for n, of in self._of_field.items()}
        return {**self.reference.provenance(), **told, "units": units}


def _servings(fields: Sequence[FieldSpec], names: dict[str, str]) -> list[Serving]:
    """Returns what serves the fields; each store is opened once."""
    # Fields with different windows are served apart, even from one store.
    groups: dict[tuple, list[FieldSpec]] = {}
    for field in fields:
        key = store_path(names[field.name]), field.window
        groups.setdefault(key, []).append(field)
    opened = {path: open_store(path) for path, _ in groups}
    return [Serving(str(names[of[0].name]), opened[path], of) for (path, _), of in groups.items()]


def _own(fields: Sequence[FieldSpec], stores: dict[str, str] | None) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, store in (stores or {}).items():
        field = canonical_name(name)
        if field not in {f.name for f in fields}:
            raise unknown("field with a store of its own", name, [f.name for f in fields])
        # A name and its alias may both give a store, if it is the same.
        if found.setdefault(field, store) != store:
            raise UserError(f"two stores are given for {field!r}: {found[field]} and {store}.")
    return found
