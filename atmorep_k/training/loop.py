"""The loop over the steps of a training, from where it stopped."""

import math
import threading
import time
from collections.abc import Generator, Iterator
from typing import Any

import keras

from atmorep_k.progress import bar
from atmorep_k.runs.callback import RunCallback
from atmorep_k.runs.checkpoints import Checkpoint, CheckpointWriter, best_of, checkpoints
from atmorep_k.runs.directory import RunDirectory
from atmorep_k.training.callbacks import Checkpointing, History, Progress, StopAfter
from atmorep_k.training.interruption import Interruption
from atmorep_k.training.profiling.profile import Profile
from atmorep_k.training.watch.callback import Watching


class Loop:
    """Trains the prepared model of a task, epoch by epoch.

    Args:
        task: a `Pretraining` whose model is compiled.
        run: where history and checkpoints go.
        profile: number of steps to measure; 0: none.

    Attributes:
        run_callbacks: those of the task that are told of the run.
        start: steps that were done before.
        seconds: time that they took.
    """

    def __init__(self, task: Any, run: RunDirectory, profile: int = 0):
        self.task = task
        self.run = run
        self.engine = task.engine
        self.start = 0
        self.seconds = 0.0
        wanted = profile and self.engine.is_main
        self.run_callbacks = [c for c in task.callbacks if isinstance(c, RunCallback)]
        watched = task.watch and task.steps >= task.watch.every
        self.windows = task.watch.windows(task.model, task.dataset) if watched else []
        self.profile = Profile(run.path / "profile", profile) if wanted else None

    def first_batch(self) -> None:
        """Reads one batch: a store that cannot be read is found out before a run exists."""
        batches = self._batches(0, 1)
        next(batches)
        batches.close()

    def resume(self, checkpoint: Checkpoint | None) -> None:
        """Takes up the state of a checkpoint, if there is one."""
        if checkpoint:
            self.start = checkpoint.step
            checkpoint.restore(self.task.model, self.engine)

    def train(self) -> float:
        """Trains to the end, and takes the best state where it is asked for.

        Returns:
            Seconds that the training took, from its very start.
        """
        task, begun = self.task, time.monotonic()
        validation = self._validation()
        interruption = Interruption(self.engine)
        writer = CheckpointWriter(
            self.run.checkpoints, self.engine, task.keep_checkpoints, task.best
        )
        try:
            with bar("training") as shown, interruption.listening():
                callbacks = self._callbacks(writer, interruption, shown)
                spans = _spans(self.start, task.steps, task.steps_per_epoch)
                for first, last in spans:
                    self._fit(first, last, callbacks, validation)
                    if task.model.stop_training:
                        break
        finally:
            writer.close()
        if self.profile:
            self.profile.report()
        if task.best:
            self.engine.barrier()  # the main process has given the last checkpoint its name
            self._take_best()
        return time.monotonic() - begun + self.seconds

    def _callbacks(self, writer, interruption, shown) -> list:
        task, is_main = self.task, self.engine.is_main
        history = (self.run, self.start, task.batch_size, task.steps_per_epoch, self.seconds)
        callbacks = [
            StopAfter(task.minutes, self.seconds, self.engine),
            History(*history, write=is_main),
            *self._watching(),
            *(c for c in task.callbacks if c not in self.run_callbacks),
            Checkpointing(writer, self.start, task.checkpoint_every, interruption),
        ]
        if is_main:
            callbacks.append(Progress(shown, self.start, task.steps, task.batch_size))
            callbacks += self.run_callbacks
        if self.profile:
            callbacks.append(self.profile)  # the last, see there
        return callbacks

    def _watching(self) -> list[Watching]:
        if not self.windows:  # nothing to watch, or too few steps
            return []
        return [Watching(self.run, self.windows, self.task.watch.every, self.start, self.engine)]

    def _fit(self, first, last, callbacks, validation):
        """Trains from one step to another that is in the same epoch, or whole epochs."""
        per_epoch = self.task.steps_per_epoch
        epoch, epochs = first // per_epoch, max(1, (last - first) // per_epoch)
        batches, making = self._batches(first, last), threading.Lock()
        watched = _one_at_a_time(batches, making)
        watched = self.profile.watch(watched) if self.profile else watched
        try:
            with self.engine.scope():
                self.task.model.fit(
                    self.engine.feed(watched),
                    steps_per_epoch=(last - first) // epochs,
                    initial_epoch=epoch,
                    epochs=epoch + epochs,
                    callbacks=callbacks,
                    validation_data=validation,
                    shuffle=False,
                    verbose=0,
                )
        finally:
            with making:
                batches.close()

    def _batches(self, start: int, stop: int, split: str = "train"):
        task = self.task
        return task.dataset.batches(
            split,
            task.batch_size,
            task.masking,
            task.seed,
            start_step=start,
            num_steps=stop - start,
            part=self.engine.part,
        )

    def _validation(self):
        number = self.task.validation_batches
        if not number:
            return None
        return self.engine.feed(FixedBatches(list(self._batches(0, number, "validation"))))

    def _take_best(self) -> None:
        """Lets the model be that of the checkpoint with the least score."""
        best = best_of(checkpoints(self.run.checkpoints), self.task.best)
        if best:
            best.restore(self.task.model, self.engine)


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


def _one_at_a_time(batches: Generator, making: threading.Lock) -> Iterator:
    """Passes batches on, each made under a lock.

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


def _spans(start: int, stop: int, epoch: int) -> list[tuple[int, int]]:
    """Cuts start..stop into the rest of a begun epoch, whole epochs, and a begun last epoch."""
    whole_from = min(stop, math.ceil(start / epoch) * epoch)
    whole_to = max(whole_from, stop // epoch * epoch)
    cuts = [(start, whole_from), (whole_from, whole_to), (whole_to, stop)]
    return [(a, b) for a, b in cuts if a < b]
