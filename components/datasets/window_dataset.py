"""Windows drawn at random from a store, in batches made ahead of time."""

import dataclasses
import functools
import itertools
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np

from atmorep_k.batch import tokenize
from atmorep_k.components.datasets import checks, periods
from atmorep_k.components.datasets.positions import (
    Positions,
    allowed_corners,
    row_weights,
)
from atmorep_k.components.datasets.prefetch import prefetch
from atmorep_k.components.datasets.preparing import Arrays, TokenInfo, empty_batch
from atmorep_k.components.datasets.randomness import bits
from atmorep_k.components.datasets.reader import Cube, Reader
from atmorep_k.components.datasets.sample import Sample
from atmorep_k.components.normalizers import MonthlyNormalizer
from atmorep_k.data.named import store_path
from atmorep_k.data.store import open_store
from atmorep_k.errors import UserError
from atmorep_k.fields import FieldSpec, Position
from atmorep_k.registry import Component, component

# Bytes of batches that wait for the model, and how many batches at most per thread.
_WAITING_BYTES = 512 * 2**20
_WAITING_PER_THREAD = 4

Split = Literal["train", "validation"]


@component("dataset")
class WindowDataset(Component):
    """Windows at random times and places of a store; sample i of epoch e never changes.

    Time, place and mask of a sample are a pure function of (seed, epoch, index): the same for any
    number of threads, any start and any batch size that leads to it. No window reaches out of its
    period, so none of training shares a time with one of validation.

    Args:
        store: path of the store, or `"demo"` for the embedded one.
        train_period: first and last date for training, both included (`("2019-03-01",
            "2019-03-22")`); a date may be a year, month, day or hour.
        validation_period: likewise, for scoring. Where both are None: the first 80 % of the record
            and the rest.
        samples_per_epoch: samples after which an epoch ends.
        region: (south, north, west, east) in degrees; windows lie wholly inside. None: anywhere.
        area_uniform: whether every square kilometre is as likely to be the centre of a window;
            else every row of the grid is.
        threads: batches made at once.

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
    ):
        self.store = store
        self.train_period = train_period
        self.validation_period = validation_period
        self.samples_per_epoch = samples_per_epoch
        self.region = region
        self.area_uniform = area_uniform
        self.threads = threads
        for name in ("samples_per_epoch", "threads"):
            if getattr(self, name) < 1:
                raise UserError(
                    f"WindowDataset.{name} must be at least 1, not {getattr(self, name)}."
                )

    def open(self, fields: Sequence[FieldSpec], normalizers: dict[str, Any] | None = None) -> None:
        """Checks that the store can serve the fields, fits normalisers, opens the arrays.

        Args:
            fields: the fields of a model, all with one window.
            normalizers: field name -> normaliser. Those without statistics take them from the
                store; those that came with a model keep theirs. None: new ones are made.

        Raises:
            UserError: where the store, a field, a level or a period is not there, the window does
                not fit, or a level is constant.
        """
        self._prepare(fields)
        self._periods = periods.split(self._store.time, self.train_period, self.validation_period)
        self._place()
        steps = np.concatenate([np.arange(*period) for period in self._periods.values()])
        self._serve(normalizers, self._store.time[np.unique(steps)])

    def open_whole(
        self, fields: Sequence[FieldSpec], normalizers: dict[str, Any] | None = None
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

        Raises:
            UserError: as in `open`, but for the periods.
        """
        self._prepare(fields)
        self._periods, self._positions = {}, {}
        store, (_, *size) = self._store, self._window.shape
        allowed_corners(store.latitude, store.longitude, store.is_global, tuple(size), None)
        record = (0, len(store.time))
        periods.window_starts("whole", store.time, record, self._window, self._stride)
        times = periods.extended(store.time, self._stride * self._window.shape[0])
        self._store = dataclasses.replace(store, time=times)
        self._serve(normalizers, None)

    def _prepare(self, fields: Sequence[FieldSpec]) -> None:
        self._window = checks.common_window(fields)
        self._store = open_store(store_path(self.store))
        self._num_times = len(self._store.time)
        self.fields = list(fields)
        self._predicted = [f for f in self.fields if f.predicted]
        self._levels = {f.name: checks.level_index(self._store, f) for f in self.fields}
        self._stride = periods.store_stride(self._store.time, self._window)

    def _serve(self, normalizers: dict[str, Any] | None, times: np.ndarray | None) -> None:
        """Fits normalisers for some times and opens the arrays."""
        store = self._store
        self.normalizers = normalizers or {f.name: MonthlyNormalizer() for f in self.fields}
        for field in self.fields:
            self._fit(field, times)
        self._token_info = {
            f.name: TokenInfo(f, store.time, store.latitude, store.longitude, store.resolution[0])
            for f in self.fields
        }
        self._reader = Reader(store, self._levels, self.threads)

    def _place(self) -> None:
        store, (_, *size) = self._store, self._window.shape
        rows, columns = allowed_corners(
            store.latitude, store.longitude, store.is_global, tuple(size), self.region
        )
        weights = row_weights(store.latitude, rows, size[0], self.area_uniform)
        self._positions = {}
        for name, period in self._periods.items():
            starts = periods.window_starts(name, store.time, period, self._window, self._stride)
            self._positions[name] = Positions(
                name, starts, rows, weights, columns, self.samples_per_epoch
            )

    def _fit(self, field: FieldSpec, times: np.ndarray | None) -> None:
        normalizer, store = self.normalizers[field.name], self._store
        if normalizer.is_fitted:
            checks.check_normalizer(store, field, normalizer)
            return
        statistics = store.statistics(field.name, self._levels[field.name])
        normalizer.fit(statistics, field.normalization, store.latitude, store.longitude, times)

    def provenance(self) -> dict[str, Any]:
        """Returns what a model trained on this data should remember of it."""
        store = self._store
        words = ("title", "source", "attribution", "simulated")
        return {
            "store": str(self.store),
            "fingerprint": store.fingerprint,
            **{word: store.attributes[word] for word in words if word in store.attributes},
            "units": {f.name: store.variables[f.name].units for f in self.fields},
            **{
                f"{name}_period": [periods.minutes(store.time[i]) for i in (first, stop - 1)]
                for name, (first, stop) in self._periods.items()
            },
        }

    def time_indices(self, split: Split) -> np.ndarray:
        """Returns the indices of all times of a period in the store, ascending."""
        return np.arange(*self._period(split, self._periods))

    def position(self, split: Split, seed: int, epoch: int, index: int) -> Position:
        """Returns where a sample lies: a pure function of its arguments."""
        return self._period(split, self._positions)(seed, epoch, index)

    def _period(self, split: Split, of: dict[str, Any]) -> Any:
        if split not in of:
            raise ValueError(f"the dataset has no {split} period: it was opened as a whole.")
        return of[split]

    def indices(self, position: Position) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns the indices of a window's times, rows and columns in the store."""
        times, rows, columns = (np.arange(n) for n in self._window.shape)
        return (
            position.time + times * self._stride,
            position.row + rows,
            (position.column + columns) % len(self._store.longitude),
        )

    def coordinates(self, position: Position) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns times (datetime64), latitudes and longitudes of a window.

        Longitudes are the store's: across the last one they start anew.
        """
        times, rows, columns = self.indices(position)
        store = self._store
        return store.time[times], store.latitude[rows], store.longitude[columns]

    def read(self, field: str, position: Position) -> Cube:
        """Starts to read a window; `.result()` waits for the cube (level, time, lat, lon)."""
        times, height, width = self._window.shape
        stop = min(position.time + (times - 1) * self._stride + 1, self._num_times)
        return self._reader.read(
            field,
            slice(position.time, stop, self._stride),
            slice(position.row, position.row + height),
            position.column,
            width,
        )

    def cube(self, field: str, position: Position) -> np.ndarray:
        """Returns the physical values (level, time, lat, lon) of a window.

        Raises:
            UserError: where a value is missing.
        """
        return self._checked(self._field(field), self.read(field, position), position)

    def _field(self, name: str) -> FieldSpec:
        return next(f for f in self.fields if f.name == name)

    def _checked(self, field: FieldSpec, reading: Cube, position: Position) -> np.ndarray:
        cube = reading.result()
        checks.check_values(self._store, field, cube, self.indices(position)[0])
        if after := self._window.shape[0] - cube.shape[1]:
            cube = np.pad(cube, [(0, 0), (0, after), (0, 0), (0, 0)], constant_values=np.nan)
        return cube

    def token_info(self, field: str, position: Position) -> np.ndarray:
        """Returns the numbers that describe a window's tokens, (level, T, Y, X, 8) float32."""
        inputs, _, _ = empty_batch([self._field(field)], 1, {field: 1})
        info = inputs[f"{field}/token_info"][0]
        self._token_info[field].fill(info, *self.indices(position))
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

        Raises:
            UserError: where the masking does not suit a field (at once), or a value that was read
                is missing (when its batch is due).
        """
        slots = self._slots(masking)
        make = functools.partial(self._batch, split, batch_size, masking, slots, seed)
        steps = itertools.count(start_step)
        if num_steps is not None:
            steps = range(start_step, start_step + num_steps)
        size = sum(
            a.nbytes for arrays in empty_batch(self.fields, 1, slots) for a in arrays.values()
        )
        ahead = min(_WAITING_PER_THREAD * self.threads, _WAITING_BYTES // (size * batch_size))
        return prefetch(make, steps, self.threads, max(1, ahead))

    def _slots(self, masking) -> dict[str, int]:
        return {f.name: masking.num_slots(f.num_tokens) for f in self._predicted}

    def _batch(self, split, batch_size: int, masking, slots, seed: int, step: int):
        numbers = range(step * batch_size, (step + 1) * batch_size)
        samples = [divmod(number, self.samples_per_epoch) for number in numbers]
        places = [self.position(split, seed, *sample) for sample in samples]
        readings = [{f.name: self.read(f.name, place) for f in self.fields} for place in places]
        batch = empty_batch(self.fields, batch_size, slots)
        for row, (sample, place) in enumerate(zip(samples, places, strict=True)):
            reading = readings[row]
            for field in self.fields:
                cube = self._checked(field, reading.pop(field.name), place)
                rng = self._rng(split, seed, sample, field)
                self._fill(batch, row, field, cube, place, masking, rng)
        return batch

    def _rng(self, split, seed: int, sample: tuple[int, int], field: FieldSpec):
        # By the field's name, so that other fields and their order make no difference.
        return np.random.Generator(bits(seed, f"{split}/mask/{field.name}", *sample))

    def _fill(self, batch, row: int, field: FieldSpec, cube, place: Position, masking, rng) -> None:
        """Writes one field of one sample into a batch; overwrites the cube."""
        name, (inputs, targets, weights) = field.name, batch
        times, rows, columns = self.indices(place)
        self.normalizers[name].normalize(cube, self._store.time[times], rows, columns, out=cube)
        cube[:, times >= self._num_times] = 0.0
        tokenize(cube, field.token_size, out=inputs[f"{name}/tokens"][row])
        self._token_info[name].fill(inputs[f"{name}/token_info"][row], times, rows, columns)
        if not field.predicted:
            return
        masked = masking(inputs[f"{name}/tokens"][row], field.token_size, rng, copy=False)
        inputs[f"{name}/masked_index"][row] = masked.index
        targets[name][row], weights[name][row] = masked.target, masked.weight

    def window(self, split: Split, seed: int, index: int, masking) -> Sample:
        """Returns sample `index` of the first epoch with its physical values, for scoring."""
        rngs = {f.name: self._rng(split, seed, (0, index), f) for f in self.fields}
        return self._sample(self.position(split, seed, 0, index), masking, rngs)

    def sample(self, position: Position, masking, rng: np.random.Generator) -> Sample:
        """Returns the window at a position, a pure function of its arguments.

        Args:
            position: its corner, anywhere in the record.
            masking: what is hidden.
            rng: source of the masks: each field, whatever others there are, draws from a
                generator of its own that starts at one number of this one.

        Raises:
            UserError: where the masking does not suit a field, or a value is missing.
        """
        start = int(rng.integers(2**63))
        rngs = {f.name: np.random.Generator(bits(start, f"mask/{f.name}")) for f in self.fields}
        return self._sample(position, masking, rngs)

    def _sample(self, position: Position, masking, rngs) -> Sample:
        batch = empty_batch(self.fields, 1, self._slots(masking))
        readings = {f.name: self.read(f.name, position) for f in self.fields}
        cubes = {f.name: self._checked(f, readings[f.name], position) for f in self.fields}
        for field in self.fields:
            cube = cubes[field.name].copy()
            self._fill(batch, 0, field, cube, position, masking, rngs[field.name])
        return Sample(position, cubes, *({n: a[0] for n, a in part.items()} for part in batch))
