"""Windows drawn at random from a store, in batches made ahead of time."""

import contextlib
import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import numpy as np

from atmorep_k.batch import tokenize
from atmorep_k.components.normalizers import MonthlyNormalizer
from atmorep_k.data.stores.base import Store
from atmorep_k.earth.times import iso
from atmorep_k.fields import FieldSpec, Position
from atmorep_k.registry import Component, component
from atmorep_k.windows import checks, periods
from atmorep_k.windows.arrays import Arrays, empty_batch
from atmorep_k.windows.positions import Positions, row_weights
from atmorep_k.windows.prefetch import prefetch
from atmorep_k.windows.randomness import bits
from atmorep_k.windows.reader import Cube
from atmorep_k.windows.sample import Sample
from atmorep_k.windows.serving import Without
from atmorep_k.windows.stores import Stores

# Bytes of batches that wait for the model, and how many batches at most per thread.
_WAITING_BYTES = 512 * 2**20
MOST_WAITING = 4

Split = Literal["train", "validation"]
# Step -> the numbers of the samples of its batch, counted through all epochs.
Samples = Callable[[int], range]
# Gives for a step, while its batch is made, a function (row, field) -> values as stored.
Source = Callable[[int], contextlib.AbstractContextManager[Callable[[int, FieldSpec], np.ndarray]]]


@component("dataset")
class WindowDataset(Component):
    """Windows at random times and places of one or more stores; sample i of epoch e never changes.

    Time, place and mask of a sample are a pure function of (seed, epoch, index): the same for any
    number of threads, any start and any batch size that leads to it. No window reaches out of its
    period, so none of training shares a time with one of validation.

    With several stores, one is the reference: that of the first field in `store`, or, where no
    field is, of the first field. Positions, periods and the region are about its points. The others
    show the same hours, which they must have, and the same degrees: the middle of a window is at
    most half a spacing of the coarser grid off.

    Args:
        store: path of the store, its address (`https://`, `gs://`, `s3://`), or `"demo"` for the
            embedded one.
        train_period: first and last date for training, both included (`("2019-03-01",
            "2019-03-22")`); a date may be a year, month, day or hour.
        validation_period: likewise, for scoring. Where both are None: the first 80 % of the record
            and the rest.
        samples_per_epoch: samples after which an epoch ends.
        region: (south, north, west, east) in degrees; windows lie wholly inside. None: anywhere.
        area_uniform: whether every square kilometre is as likely to be the centre of a window;
            else every row of the grid is.
        threads: batches made at once.
        stores: field (or an alias) -> path of the store that has it; all others are in `store`.

    Raises:
        UserError: where a number is not positive; see also `open`.
    """

    def __init__(
        self,
        store: str,
        train_period: Sequence[str] | None = None,
        validation_period: Sequence[str] | None = None,
        samples_per_epoch: int = 4096,
        region: Sequence[float] | None = None,
        area_uniform: bool = True,
        threads: int = 2,
        stores: dict[str, str] | None = None,
    ):
        self.store = store
        self.train_period = train_period
        self.validation_period = validation_period
        self.samples_per_epoch = samples_per_epoch
        self.region = region
        self.area_uniform = area_uniform
        self.threads = threads
        self.stores = stores
        checks.check_positive(self, ("samples_per_epoch", "threads"))

    def open(self, fields: Sequence[FieldSpec], normalizers: dict[str, Any] | None = None) -> None:
        """Checks that the stores can serve the fields, fits normalisers, opens the arrays.

        Args:
            fields: the fields of a model.
            normalizers: field name -> normaliser. Those without statistics take them from the
                field's store; those that came with a model keep theirs. None: new ones are made.

        Raises:
            UserError: where a store, a field, a level or a period is not there, the window does
                not fit, no window is in all stores, or a level is constant.
        """
        self._prepare(fields, None)
        time = self._stores.reference.store.time
        self._periods = periods.split(time, self.train_period, self.validation_period)
        self._spans = {name: periods.span(time, p) for name, p in self._periods.items()}
        self._place()
        self._fit(normalizers, self._spans.values())
        for serving in self._stores.servings:
            checks.tell_gaps(serving.store, serving.fields)

    def open_whole(
        self,
        fields: Sequence[FieldSpec],
        normalizers: dict[str, Any] | None = None,
        reference: str | None = None,
        windows_after: int = 1,
    ) -> None:
        """Opens the whole record without periods, to use a model: `sample` gives any window of it.

        A store of one window is enough. A window may begin in the record and end after it, so
        that hours can be forecast which have not come yet: their values are 0 once normalised,
        and NaN in `Sample.cubes`; hide them. The period and region of the configuration have no
        effect.

        Args:
            fields: as in `open`.
            normalizers: as in `open`. Statistics of each grid point and year are read when a
                window needs them.
            reference: the field whose store and window positions are about; as in `open` if None.
            windows_after: so many windows follow after the end of the record.

        Raises:
            UserError: as in `open`, but for the periods.
        """
        self._prepare(fields, reference)
        self._periods, self._spans, self._positions = {}, {}, {}
        of = self._stores.reference
        record = (0, len(of.store.time))
        periods.window_starts("whole", of.store.time, record, of.window, of.stride)
        self._stores.extend(windows_after)
        self._stores.corners(None)
        self._fit(normalizers, None)

    def _prepare(self, fields: Sequence[FieldSpec], reference: str | None) -> None:
        checks.check_fields(fields)
        self.fields = list(fields)
        self._predicted = [f for f in self.fields if f.predicted]
        self._stores = Stores(fields, self.store, self.stores, reference)

    def _place(self) -> None:
        rows, columns = self._stores.corners(self.region)
        of, self._positions = self._stores.reference, {}
        weights = row_weights(of.store.latitude, rows, of.window.shape[1], self.area_uniform)
        for name, period in self._periods.items():
            starts = self._stores.starts(name, period, self._spans[name])
            self._positions[name] = Positions(
                name, starts, rows, weights, columns, self.samples_per_epoch
            )

    def _fit(self, normalizers: dict[str, Any] | None, spans) -> None:
        self.normalizers = normalizers or {f.name: MonthlyNormalizer() for f in self.fields}
        self._stores.open(self.normalizers, spans, self.threads)

    def provenance(self) -> dict[str, Any]:
        """Returns what a model trained on this data should remember of it."""
        time = self._stores.reference.store.time
        return {
            **self._stores.provenance(),
            **{
                f"{name}_period": [iso(time[i]) for i in (first, stop - 1)]
                for name, (first, stop) in self._periods.items()
            },
        }

    def store_of(self, field: str | None = None) -> Store:
        """Returns the store of a field; the reference if None."""
        return self._stores[field].store

    def time_indices(self, split: Split, field: str | None = None) -> np.ndarray:
        """Returns the indices of all times of a period in a field's store, ascending.

        In the reference if no field is given.
        """
        return self._stores[field].within([self._period(split, self._spans)])

    def position(self, split: Split, seed: int, epoch: int, index: int) -> Position:
        """Returns where a sample lies: a pure function of its arguments."""
        return self._period(split, self._positions)(seed, epoch, index)

    def _period(self, split: Split, of: dict[str, Any]) -> Any:
        if split not in of:
            raise ValueError(f"the dataset has no {split} period: it was opened as a whole.")
        return of[split]

    def indices(
        self, position: Position, field: str | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns the indices of a window's times, rows and columns in a field's store.

        Args:
            position: where the window lies in the reference.
            field: the field; the reference itself if None.

        Raises:
            UserError: where a store does not have the window.
        """
        return self._stores[field].indices(position)

    def coordinates(
        self, position: Position, field: str | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns times (datetime64), latitudes and longitudes of a window, as `indices`.

        Longitudes are the store's: across the last one they start anew.
        """
        return self._stores[field].coordinates(position)

    def read(self, field: str, position: Position) -> Cube:
        """Starts to read a window; `.result()` waits for it (level, time, lat, lon), as stored."""
        return self._stores[field].read(field, position)

    def cube(self, field: str, position: Position) -> np.ndarray:
        """Returns the physical values (level, time, lat, lon) of a window.

        Raises:
            UserError: where a value is missing.
        """
        of = self._field(field)
        return self._physical(of, self._whole(of, self.read(field, position), position))

    def _field(self, name: str) -> FieldSpec:
        return next(f for f in self.fields if f.name == name)

    def _whole(self, field: FieldSpec, reading: Cube, position: Position) -> np.ndarray:
        return self._stores[field.name].whole(field, reading, position)

    def _physical(self, field: FieldSpec, stored: np.ndarray) -> np.ndarray:
        return self._stores[field.name].physical(field, stored)

    def token_info(self, field: str, position: Position) -> np.ndarray:
        """Returns the numbers that describe a window's tokens, (level, T, Y, X, 8) float32."""
        inputs, _, _ = empty_batch([self._field(field)], 1, {field: 1})
        info = inputs[f"{field}/token_info"][0]
        self._stores[field].describe(field, position, info)
        return info

    def batches(
        self,
        split: Split,
        batch_size: int,
        masking,
        seed: int,
        *,
        start_step: int = 0,
        num_steps: int | None = None,
        part: tuple[int, int] = (0, 1),
    ) -> Iterator[tuple[Arrays, Arrays, Arrays]]:
        """Returns a generator of (inputs, targets, weights) as `atmorep_k.batch` says.

        Batch `step` holds the samples step * batch_size + (0, 1, ...), counted through all epochs.
        Close the generator to stop the threads.

        Args:
            split: which period.
            batch_size: samples of a batch.
            masking: what is hidden.
            seed: of places, times and masks.
            start_step: the first batch, where a resumed training goes on.
            num_steps: how many batches; without end if None.
            part: (r, R), where R hosts share each batch and this is number r from 0: it gets rows
                r * batch_size / R and on. All parts put together are the batch of one host.

        Raises:
            UserError: where the masking does not suit a field, or the parts of a batch are not
                equal (at once), or a value cannot be read (when its batch is due).
        """
        slots, samples = self._slots(masking), checks.samples_of(batch_size, part)
        source = self._source(split, seed, samples, start_step)
        make = functools.partial(self._batch, split, samples, masking, slots, seed, source)
        steps = itertools.count(start_step)
        if num_steps is not None:
            steps = range(start_step, start_step + num_steps)
        one = empty_batch(self.fields, 1, slots)
        size = len(samples(0)) * sum(a.nbytes for arrays in one for a in arrays.values())
        return prefetch(make, steps, self.threads, self._waiting(size))

    def _waiting(self, size: int) -> int:
        """Returns how many batches of so many bytes may wait or be in the making."""
        return max(1, min(MOST_WAITING * self.threads, _WAITING_BYTES // size))

    def _slots(self, masking) -> dict[str, int]:
        return {f.name: masking.num_slots(f.num_tokens) for f in self._predicted}

    def _source(self, split: Split, seed: int, samples: Samples, first: int) -> Source:
        """Returns where the values of batches come from: here, each window is read for itself."""
        return functools.partial(self._windows, split, seed, samples)

    @contextlib.contextmanager
    def _windows(self, split: Split, seed: int, samples: Samples, step: int):
        numbers = [divmod(n, self.samples_per_epoch) for n in samples(step)]
        places = [self.position(split, seed, *number) for number in numbers]
        in_flight, readings = self._stores.in_flight, []

        def cube(row: int, field: FieldSpec) -> np.ndarray:
            for place in places[len(readings) : row + in_flight]:
                readings.append({f.name: self.read(f.name, place) for f in self.fields})
            return self._whole(field, readings[row].pop(field.name), places[row])

        yield cube

    def _batch(self, split, samples: Samples, masking, slots, seed: int, source, step: int):
        numbers = samples(step)
        batch = empty_batch(self.fields, len(numbers), slots)
        with source(step) as cube:
            for row, number in enumerate(numbers):
                sample = divmod(number, self.samples_per_epoch)
                place = self.position(split, seed, *sample)
                for field in self.fields:
                    rng = self._rng(split, seed, sample, field)
                    self._fill(batch, row, field, cube(row, field), place, masking, rng)
        return batch

    def _rng(self, split, seed: int, sample: tuple[int, int], field: FieldSpec):
        # By the field's name, so that other fields and their order make no difference.
        return np.random.Generator(bits(seed, f"{split}/mask/{field.name}", *sample))

    def _fill(self, batch, row: int, field: FieldSpec, cube, place: Position, masking, rng) -> None:
        """Writes one field of one sample, a cube as stored, into a batch."""
        name, (inputs, targets, weights) = field.name, batch
        info = inputs[f"{name}/token_info"][row]
        tokens = inputs[f"{name}/tokens"][row]
        self._stores[name].fill(field, cube, place, tokens, info)
        if not field.predicted:
            return
        masked = masking(tokens, field.token_size, rng, copy=False)
        inputs[f"{name}/masked_index"][row] = masked.index
        targets[name][row], weights[name][row] = masked.target, masked.weight

    def window(self, split: Split, seed: int, index: int, masking) -> Sample:
        """Returns sample `index` of the first epoch with its physical values, for scoring."""
        rngs = {f.name: self._rng(split, seed, (0, index), f) for f in self.fields}
        return self._sample(self.position(split, seed, 0, index), masking, rngs, self._whole)

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
            found[field.name] = missing.reshape(len(missing), -1)
        return found

    def sample(
        self,
        position: Position,
        masking,
        rng: np.random.Generator,
        *,
        missing: Literal["refuse", "keep"] = "refuse",
        without: Without | None = None,
    ) -> Sample:
        """Returns the window at a position, a pure function of its arguments.

        Args:
            position: its corner, anywhere in the record.
            masking: what is hidden.
            rng: source of the masks: each field, whatever others there are, draws from a
                generator of its own that starts at one number of this one.
            missing: what is done where a value of a predicted field is missing; `"keep"` leaves
                it NaN, also for the masking, which must hide it (`MissingTokens`).
            without: function of the times, latitudes and longitudes of a field's window: what
                counts as missing besides, bool (time, lat, lon), with `missing="keep"`.

        Raises:
            UserError: where the masking does not suit a field, or a value is missing.
        """
        start = int(rng.integers(2**63))
        rngs = {f.name: np.random.Generator(bits(start, f"mask/{f.name}")) for f in self.fields}
        take = self._whole if missing == "refuse" else functools.partial(self._kept, without)
        return self._sample(position, masking, rngs, take)

    def _kept(self, without, field: FieldSpec, reading: Cube, position: Position) -> np.ndarray:
        if not field.predicted:
            return self._whole(field, reading, position)
        return self._stores[field.name].with_gaps(field, reading, position, without)

    def _sample(self, position: Position, masking, rngs, take) -> Sample:
        batch = empty_batch(self.fields, 1, self._slots(masking))
        readings = {f.name: self.read(f.name, position) for f in self.fields}
        stored = {f.name: take(f, readings[f.name], position) for f in self.fields}
        for field in self.fields:
            self._fill(batch, 0, field, stored[field.name], position, masking, rngs[field.name])
        cubes = {f.name: self._physical(f, stored[f.name]) for f in self.fields}
        return Sample(position, cubes, *({n: a[0] for n, a in part.items()} for part in batch))
