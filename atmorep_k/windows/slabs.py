"""Slabs: large parts of a store that are read once, and many windows are cut from."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from atmorep_k.windows.reader import Reading


class SlabPlace(NamedTuple):
    """Which window of which slab a sample shows.

    Args:
        slab: number of the slab among all.
        patch: number of the window among those of the slab.
    """

    slab: int
    patch: int


class Lanes:
    """The order in which windows are taken from slabs; each lane has one slab at a time.

    Sample n belongs to lane n mod `number`, so that neighbours come from different slabs. A lane
    moves to its next slab after `patches` windows; the lanes do so one after the other, evenly
    spread, so that there is about one slab to read for every `patches` samples.

    Args:
        number: how many lanes.
        patches: windows of a slab.
    """

    def __init__(self, number: int, patches: int):
        self.number = number
        self.patches = patches

    def place(self, sample: int) -> SlabPlace:
        """Returns what a sample shows; slab s is number s div `number` of lane s mod `number`."""
        visit, lane = divmod(sample, self.number)
        turn, patch = divmod(visit + self._ahead(lane), self.patches)
        return SlabPlace(turn * self.number + lane, patch)

    def last(self, slab: int) -> int:
        """Returns the last sample that shows a slab."""
        turn, lane = divmod(slab, self.number)
        return ((turn + 1) * self.patches - 1 - self._ahead(lane)) * self.number + lane

    def most(self, samples: int) -> int:
        """Returns the largest number of slabs that a number of consecutive samples can show."""
        # Each lane shows one slab at first, and a round of number * patches samples changes every
        # lane once. What is left of a round is tried from each of its samples, over two rounds.
        sample = np.arange(self.number * self.patches)
        visit, lane = np.divmod(sample, self.number)
        changes = (visit + lane * self.patches // self.number) % self.patches == 0
        rounds, rest = divmod(samples, len(sample))
        counts = np.concatenate([[0], np.cumsum(np.tile(changes, 2))])
        found = (counts[rest:] - counts[: len(counts) - rest]).max()
        return self.number * (1 + rounds) + int(found)

    def _ahead(self, lane: int) -> int:
        # Lanes start at different places of their first slab, so that no two slabs are due at once.
        return lane * self.patches // self.number


class Slab:
    """One slab being read; threads may share it.

    Args:
        readings: field -> its values being read.
        check: called once with a field and its values.
    """

    def __init__(self, readings: dict[str, Reading], check: Callable[[str, np.ndarray], None]):
        self._readings, self._check = readings, check
        self._checked: dict[str, np.ndarray] = {}
        self._lock = threading.Lock()

    def values(self, field: str) -> np.ndarray:
        """Waits, and returns (level, time, lat, lon) as stored; not to be changed.

        Raises:
            UserError: if it cannot be read, or a value is missing.
        """
        with self._lock:
            if field not in self._checked:
                values = self._readings[field].result()
                self._check(field, values)
                self._checked[field] = values
                del self._readings[field]
            return self._checked[field]


class Slabs:
    """The slabs that the batches of one training need now and next.

    Args:
        lanes: the order of slabs.
        samples: step -> the numbers of the samples of its batch, ascending with the step.
        first: the first step.
        ahead: how many samples before a slab is needed its reading begins.
        start: number of a slab -> the slab being read.
    """

    def __init__(
        self,
        lanes: Lanes,
        samples: Callable[[int], range],
        first: int,
        ahead: int,
        start: Callable[[int], Slab],
    ):
        self._lanes, self._samples = lanes, samples
        self._ahead, self._start = ahead, start
        self._live: dict[int, Slab] = {}
        self._lock = threading.Lock()
        self._asked = self._unfinished = first
        self._finished: set[int] = set()

    @contextlib.contextmanager
    def step(self, step: int) -> Iterator[Callable[[int], Slab]]:
        """Yield a function (number of a slab) -> slab for the samples of a batch.

        Slabs are kept until the steps before have come to their end, in whichever order.
        """
        self._ask(step)
        try:
            yield self._live.__getitem__
        finally:
            self._drop(step)

    def _ask(self, step: int) -> None:
        with self._lock:
            # Threads ask for steps out of order: whoever comes first starts all slabs that are due.
            end = self._samples(step).stop + self._ahead
            while self._asked <= step or self._samples(self._asked).start < end:
                for sample in self._samples(self._asked):
                    slab = self._lanes.place(sample).slab
                    if slab not in self._live:
                        self._live[slab] = self._start(slab)
                self._asked += 1

    def _drop(self, step: int) -> None:
        with self._lock:
            self._finished.add(step)
            while self._unfinished in self._finished:
                self._finished.remove(self._unfinished)
                self._unfinished += 1
            # Samples ascend with the step: no later step needs what this one is past.
            needed = self._samples(self._unfinished).start
            for slab in [s for s in self._live if self._lanes.last(s) < needed]:
                del self._live[slab]
