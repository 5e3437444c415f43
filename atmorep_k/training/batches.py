"""The batches that a training asks its dataset for."""

import dataclasses
import threading
from collections.abc import Generator, Iterator
from typing import Any

import keras

from atmorep_k.protocols import Masking


@dataclasses.dataclass(frozen=True)
class Batches:
    """Which batches a training reads: the same step always gets the same windows and masks.

    Args:
        dataset: an opened dataset.
        masking: what is masked of a window.
        batch_size: samples per batch, over all processes.
        seed: of windows and masks.
        part: this process's share (index, number) of each batch.
    """

    dataset: Any
    masking: Masking
    batch_size: int
    seed: int
    part: tuple[int, int] = (0, 1)

    def read(self, start: int, stop: int, split: str = "train") -> Generator:
        """Yield the batches (inputs, targets, weights) of steps `start` to `stop`."""
        return self.dataset.batches(
            split,
            self.batch_size,
            self.masking,
            self.seed,
            start_step=start,
            num_steps=stop - start,
            part=self.part,
        )

    def check(self) -> None:
        """Read one batch, so that a store that cannot be read is found before a run exists."""
        batches = self.read(0, 1)
        next(batches)
        batches.close()


class FixedBatches(keras.utils.PyDataset):
    """The same few batches each time they are asked for.

    Args:
        batches: list of (inputs, targets, weights).
    """

    def __init__(self, batches: list):
        super().__init__(workers=1)
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]


def one_at_a_time(batches: Generator, making: threading.Lock) -> Iterator:
    """Yield batches, each made under a lock.

    TensorFlow asks for them in a thread of its own, which still does where `fit` was left by an
    exception; a generator must not be closed while it runs.
    """
    while True:
        with making:
            try:
                batch = next(batches)
            except StopIteration:
                return
        yield batch
