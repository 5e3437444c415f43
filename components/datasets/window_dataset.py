"""Windows drawn at random from a store, in batches made ahead of time."""

import contextlib
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal

import numpy as np

from atmorep_k.components.normalizers import MonthlyNormalizer
from atmorep_k.earth.times import iso
from atmorep_k.fields import FieldSpec, Position
from atmorep_k.registry import Component, component
from atmorep_k.windows import checks, periods
from atmorep_k.windows.arrays import Arrays, empty_batch
from atmorep_k.windows.opened import StoreWindows
from atmorep_k.windows.positions import Positions, row_weights
from atmorep_k.windows.prefetch import prefetch
from atmorep_k.windows.randomness import bits
from atmorep_k.windows.reader import Reading
from atmorep_k.windows.sample import Sample
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
        UserError: if a number is not positive; see also `open`.

    Attributes:
        windows: once open, the windows of the stores (`StoreWindows`): any window at any position.
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
            UserError: if a store, a field, a level or a period is missing, the window does
                not fit, no window is in all stores, or a level is constant.
        """
        checks.check_fields(fields)
        self.fields = list(fields)
        self._stores = Stores(fields, self.store, self.stores)
        time = self._stores.reference.store.time
        self._periods = periods.split(time, self.train_period, self.validation_period)
        self._spans = {name: periods.span(time, p) for name, p in self._periods.items()}
        self._place()
        self.normalizers = normalizers or {f.name: MonthlyNormalizer() for f in fields}
        self._stores.open(self.normalizers, self._spans.values(), self.threads)
        self.windows = StoreWindows(self._stores, fields, self.normalizers)
        for serving in self._stores.servings:
            checks.tell_gaps(serving.store, serving.fields)

    def _place(self) -> None:
        rows, columns = self._stores.corners(self.region)
        of = self._stores.reference
        self._positions: dict[str, Callable[[int, int, int], Position]] = {}
        weights = row_weights(of.store.latitude, rows, of.window.shape[1], self.area_uniform)
        for name, period in self._periods.items():
            starts = self._stores.starts(name, period, self._spans[name])
            self._positions[name] = Positions(
                name, starts, rows, weights, columns, self.samples_per_epoch
            )

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

    def time_indices(self, split: Split, field: str | None = None) -> np.ndarray:
        """Returns the indices of all times of a period in a field's store, ascending.

        In the reference if no field is given.
        """
        return self._stores[field].within([self._spans[split]])

    def position(self, split: Split, seed: int, epoch: int, index: int) -> Position:
        """Returns where a sample lies: a pure function of its arguments."""
        return self._positions[split](seed, epoch, index)

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
            masking: what is masked.
            seed: of places, times and masks.
            start_step: the first batch, at which a resumed training resumes.
            num_steps: how many batches; without end if None.
            part: (r, R), where R hosts share each batch and this is number r from 0: it gets rows
                r * batch_size / R and on. All parts put together are the batch of one host.

        Raises:
            UserError: if the masking does not suit a field, or the parts of a batch are not
                equal (at once), or a value cannot be read (when its batch is due).
        """
        slots, samples = self.windows.slots(masking), checks.samples_of(batch_size, part)
        source = self._source(split, seed, samples, start_step)
        make = functools.partial(self._batch, split, samples, masking, slots, seed, source)
        steps: Iterable[int] = itertools.count(start_step)
        if num_steps is not None:
            steps = range(start_step, start_step + num_steps)
        one = empty_batch(self.fields, 1, slots)
        size = len(samples(0)) * sum(a.nbytes for arrays in one for a in arrays.values())
        return prefetch(make, steps, self.threads, self._waiting(size))

    def _waiting(self, size: int) -> int:
        """Returns how many batches of so many bytes may wait or be in the making."""
        return max(1, min(MOST_WAITING * self.threads, _WAITING_BYTES // size))

    def _source(self, split: Split, seed: int, samples: Samples, first: int) -> Source:
        """Returns where the values of batches come from: here, each window is read for itself."""
        return functools.partial(self._windows, split, seed, samples)

    @contextlib.contextmanager
    def _windows(self, split: Split, seed: int, samples: Samples, step: int):
        numbers = [divmod(n, self.samples_per_epoch) for n in samples(step)]
        places = [self.position(split, seed, *number) for number in numbers]
        stores = self._stores
        readings: list[dict[str, Reading]] = []
        in_flight = stores.in_flight

        def cube(row: int, field: FieldSpec) -> np.ndarray:
            for place in places[len(readings) : row + in_flight]:
                readings.append({f.name: stores[f.name].read(f.name, place) for f in self.fields})
            reading = readings[row].pop(field.name)
            return stores[field.name].whole(field, reading, places[row])

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
                    self.windows.fill(batch, row, field, cube(row, field), place, masking, rng)
        return batch

    def _rng(self, split, seed: int, sample: tuple[int, int], field: FieldSpec):
        # By the field's name, so that other fields and their order make no difference.
        return np.random.Generator(bits(seed, f"{split}/mask/{field.name}", *sample))

    def window(self, split: Split, seed: int, index: int, masking) -> Sample:
        """Returns sample `index` of the first epoch with its physical values, for scoring."""
        rngs = {f.name: self._rng(split, seed, (0, index), f) for f in self.fields}
        return self.windows.masked(self.position(split, seed, 0, index), masking, rngs)
