"""Opened stores that give windows of fields, normalised and masked."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from atmorep_k.batch import tokenize
from atmorep_k.data.stores.base import Store
from atmorep_k.fields import FieldSpec, Position
from atmorep_k.protocols import Arrays, Masking, Normalizer
from atmorep_k.windows import checks, periods
from atmorep_k.windows.arrays import empty_batch
from atmorep_k.windows.randomness import bits
from atmorep_k.windows.reader import Reading
from atmorep_k.windows.sample import Sample
from atmorep_k.windows.serving import Without
from atmorep_k.windows.stores import Stores


class StoreWindows:
    """The windows of some fields in one or more opened stores.

    A window is named by its `Position`: where its corner lies in the reference store.

    Args:
        stores: the stores, with their arrays opened (`Stores.open`).
        fields: the fields of a model.
        normalizers: field -> the normaliser that the stores were opened with.
    """

    def __init__(
        self, stores: Stores, fields: Sequence[FieldSpec], normalizers: Mapping[str, Normalizer]
    ):
        self.fields, self.normalizers = list(fields), normalizers
        self._predicted = [f for f in self.fields if f.predicted]
        self._stores = stores

    @classmethod
    def of_record(
        cls,
        store: str,
        stores: dict[str, str] | None,
        fields: Sequence[FieldSpec],
        normalizers: dict[str, Any],
        reference: str | None = None,
        windows_after: int = 1,
        threads: int = 2,
    ):
        """Opens the whole record of some stores: `sample` then gives any window of it.

        A store of one window is enough. A window may begin in the record and end after it, so
        that a model can forecast hours that have not come yet: their values are 0 once normalised,
        and NaN in `Sample.cubes`; mask them.

        Args:
            store: the store of all fields that have none of their own: a path, an address, or
                `"demo"`.
            stores: name or alias of a field -> the store of its own.
            fields: the fields of a model.
            normalizers: field -> normaliser. Those without statistics take them from the field's
                store; those that came with a model keep theirs. Statistics of each grid point and
                year are read when a window needs them.
            reference: the field whose store positions refer to; that of the first field in `store`
                if None.
            windows_after: how many windows follow after the end of the record.
            threads: threads that will read at the same time.

        Raises:
            UserError: if a store lacks a field or a level, the window does not fit, the stores
                have no window in common, or a level is constant.
        """
        checks.check_fields(fields)
        opened = Stores(fields, store, stores, reference)
        of = opened.reference
        record = (0, len(of.store.time))
        periods.allowed_starts("whole", of.store.time, record, of.window, of.stride)
        opened.extend(windows_after)
        opened.corners(None)
        opened.open(normalizers, None, threads)
        return cls(opened, fields, normalizers)

    def provenance(self) -> dict[str, Any]:
        """Returns what a model should remember of the stores."""
        return self._stores.provenance()

    def store_of(self, field: str | None = None) -> Store:
        """Returns the store of a field; the reference if None."""
        return self._stores[field].store

    def corners(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the rows and columns of the reference at which all stores have a window."""
        return self._stores.corners(None)

    def indices(
        self, position: Position, field: str | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns the indices of a window's times, rows and columns in a field's store.

        Args:
            position: where the window lies in the reference.
            field: the field; the reference itself if None.

        Raises:
            UserError: if a store does not have the window.
        """
        return self._stores[field].indices(position)

    def coordinates(
        self, position: Position, field: str | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns times (datetime64), latitudes and longitudes of a window, as `indices`.

        Longitudes are the store's: across the last one they start again.
        """
        return self._stores[field].coordinates(position)

    def read(self, field: str, position: Position) -> Reading:
        """Starts to read a window; `.result()` waits for it (level, time, lat, lon), as stored."""
        return self._stores[field].read(field, position)

    def cube(self, field: str, position: Position) -> np.ndarray:
        """Returns the physical values (level, time, lat, lon) of a window.

        Raises:
            UserError: if a value is missing.
        """
        of, serving = self._field(field), self._stores[field]
        return serving.physical(of, serving.whole(of, self.read(field, position), position))

    def _field(self, name: str) -> FieldSpec:
        return next(f for f in self.fields if f.name == name)

    def token_info(self, field: str, position: Position) -> np.ndarray:
        """Returns the numbers that describe a window's tokens, (level, T, Y, X, 8) float32."""
        inputs, _, _ = empty_batch([self._field(field)], 1, {field: 1})
        info = inputs[f"{field}/token_info"][0]
        self._stores[field].describe(field, position, info)
        return info

    def gaps(self, position: Position, without: Without | None = None) -> dict[str, np.ndarray]:
        """Returns which tokens of predicted fields have missing values in a window.

        Args:
            position: its corner.
            without: what counts as missing besides, see `sample`.

        Returns:
            Field -> bool (level, token), tokens in row-major order.
        """
        readings = {f.name: self.read(f.name, position) for f in self._predicted}
        found = {}
        for field in self._predicted:
            cube = self._stores[field.name].with_gaps(
                field, readings[field.name], position, without
            )
            missing = tokenize(np.isnan(cube), field.token_size).any(axis=-1)
            found[field.name] = missing.reshape(len(cube), -1)
        return found

    def slots(self, masking: Masking) -> dict[str, int]:
        """Returns predicted field -> masked slots per sample and level.

        Raises:
            UserError: if the masking does not suit a field.
        """
        return {f.name: masking.num_slots(f.num_tokens) for f in self._predicted}

    def fill(
        self,
        batch: tuple[Arrays, Arrays, Arrays],
        row: int,
        field: FieldSpec,
        cube: np.ndarray,
        position: Position,
        masking: Masking,
        rng: np.random.Generator,
    ) -> None:
        """Writes one field of one window into a row of a batch.

        Args:
            batch: inputs, targets and weights, see `arrays.empty_batch`.
            row: the row.
            field: the field.
            cube: (level, time, lat, lon) as stored, or its values; not changed.
            position: where the window lies in the reference.
            masking: what is masked.
            rng: source of the mask.
        """
        name, (inputs, targets, weights) = field.name, batch
        info = inputs[f"{name}/token_info"][row]
        tokens = inputs[f"{name}/tokens"][row]
        self._stores[name].fill(field, cube, position, tokens, info)
        if not field.predicted:
            return
        masked = masking(tokens, field.token_size, rng, copy=False)
        inputs[f"{name}/masked_index"][row] = masked.index
        targets[name][row], weights[name][row] = masked.target, masked.weight

    def sample(
        self,
        position: Position,
        masking: Masking,
        rng: np.random.Generator,
        *,
        missing: Literal["refuse", "keep"] = "refuse",
        without: Without | None = None,
    ) -> Sample:
        """Returns the window at a position, a pure function of its arguments.

        Args:
            position: its corner, anywhere in the record.
            masking: what is masked.
            rng: source of the masks: each field, whatever others there are, draws from a
                generator of its own that starts at one number of this one.
            missing: what is done where a value of a predicted field is missing; `"keep"` leaves
                it NaN, also for the masking, which must mask it (`MissingTokens`).
            without: function of the times, latitudes and longitudes of a field's window: what
                counts as missing besides, bool (time, lat, lon), with `missing="keep"`.

        Raises:
            UserError: if the masking does not suit a field, or a value is missing.
        """
        start = int(rng.integers(2**63))
        rngs = {f.name: np.random.Generator(bits(start, f"mask/{f.name}")) for f in self.fields}
        take = self._whole if missing == "refuse" else functools.partial(self._kept, without)
        return self._sample(position, masking, rngs, take)

    def masked(
        self, position: Position, masking: Masking, rngs: dict[str, np.random.Generator]
    ) -> Sample:
        """Returns the window at a position, each field masked by a generator of its own.

        Raises:
            UserError: as `sample`.
        """
        return self._sample(position, masking, rngs, self._whole)

    def _whole(self, field: FieldSpec, reading: Reading, position: Position) -> np.ndarray:
        return self._stores[field.name].whole(field, reading, position)

    def _kept(self, without, field: FieldSpec, reading: Reading, position: Position) -> np.ndarray:
        if not field.predicted:
            return self._whole(field, reading, position)
        return self._stores[field.name].with_gaps(field, reading, position, without)

    def _sample(self, position: Position, masking: Masking, rngs, take) -> Sample:
        batch = empty_batch(self.fields, 1, self.slots(masking))
        readings = {f.name: self.read(f.name, position) for f in self.fields}
        # All reads have started before the first is waited for.
        stored = {f.name: take(f, readings[f.name], position) for f in self.fields}
        for field in self.fields:
            self.fill(batch, 0, field, stored[field.name], position, masking, rngs[field.name])
        cubes = {f.name: self._stores[f.name].physical(f, stored[f.name]) for f in self.fields}
        return Sample(position, cubes, *({n: a[0] for n, a in part.items()} for part in batch))
