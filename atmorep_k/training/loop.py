"""The loop over the steps of a training, from where it stopped."""

import threading
import time
from collections.abc import Iterable, Sequence

import keras

from atmorep_k.console import Bar, bar
from atmorep_k.distribution import Engine
from atmorep_k.model import AtmoRep
from atmorep_k.runs.callback import RunCallback
from atmorep_k.runs.checkpoints import Checkpoint, CheckpointWriter, best_of, checkpoints
from atmorep_k.runs.directory import RunDirectory
from atmorep_k.training.batches import Batches, FixedBatches, one_at_a_time
from atmorep_k.training.callbacks import Checkpointing, History, Progress, StopAfter
from atmorep_k.training.interruption import Interruption
from atmorep_k.training.profiling.profile import Profile
from atmorep_k.training.schedule import TrainingSchedule
from atmorep_k.training.watch.callback import Watching
from atmorep_k.training.watch.watch import Watch


class Loop:
    """Trains a compiled model, epoch by epoch.

    Args:
        model: the compiled model.
        engine: what runs its steps on the devices.
        batches: what it reads.
        schedule: how long, and what happens how often.
        run: where history and checkpoints go.
        callbacks: further Keras callbacks; a `RunCallback` is called in the main process only.
        watch: what is scored during training; None: nothing.
        profile: number of steps to measure; 0: none.

    Attributes:
        run_callbacks: the `RunCallback`s among the callbacks.
        start: steps that were done before.
        seconds: time that they took.
    """

    def __init__(
        self,
        model: AtmoRep,
        engine: Engine,
        batches: Batches,
        schedule: TrainingSchedule,
        run: RunDirectory,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        watch: Watch | None = None,
        profile: int = 0,
    ):
        self.model = model
        self.engine = engine
        self.batches = batches
        self.schedule = schedule
        self.run = run
        self.run_callbacks = [c for c in callbacks if isinstance(c, RunCallback)]
        self.callbacks = [c for c in callbacks if c not in self.run_callbacks]
        self.watch = watch if watch and schedule.steps >= watch.every else None
        # Read here: windows that cannot be read are found before a run exists.
        self.watched = self.watch.windows(model, batches.dataset) if self.watch else []
        measured = profile and engine.is_main
        self.profile = Profile(run.path / "profile", profile) if measured else None
        self.start = 0
        self.seconds = 0.0

    def resume(self, checkpoint: Checkpoint, seconds: float) -> None:
        """Restore the state of a checkpoint.

        Args:
            checkpoint: from where to continue.
            seconds: time that the steps before it took.
        """
        self.start = checkpoint.step
        self.seconds = seconds
        checkpoint.restore(self.model, self.engine)

    def train(self) -> float:
        """Train to the end; restore the best state if the schedule asks for it.

        Returns:
            Seconds that the training took, those before it was resumed included.
        """
        schedule, begun = self.schedule, time.monotonic()
        validation = self._validation()
        interruption = Interruption(self.engine)
        writer = CheckpointWriter(
            self.run.checkpoints, self.engine, schedule.keep_checkpoints, schedule.best
        )
        try:
            with bar("training") as shown, interruption.listening():
                callbacks = self._callbacks(writer, interruption, shown)
                for first, last in schedule.spans(self.start):
                    self._fit(first, last, callbacks, validation)
                    if self.model.stop_training:
                        break
        finally:
            writer.close()
        if self.profile:
            self.profile.report()
        if schedule.best:
            self.engine.barrier()  # the main process has given the last checkpoint its name
            self._take_best()
        return time.monotonic() - begun + self.seconds

    def _callbacks(
        self, writer: CheckpointWriter, interruption: Interruption, shown: Bar
    ) -> list[keras.callbacks.Callback]:
        """Return all callbacks; their order matters, see the docstring of each."""
        schedule, is_main = self.schedule, self.engine.is_main
        batch_size, per_epoch = schedule.batch_size, schedule.steps_per_epoch
        callbacks = [
            StopAfter(schedule.minutes, self.seconds, self.engine),
            History(self.run, self.start, batch_size, per_epoch, self.seconds, write=is_main),
            *self._watching(),
            *self.callbacks,
            Checkpointing(writer, self.start, schedule.checkpoint_every, interruption),
        ]
        if is_main:
            callbacks.append(Progress(shown, self.start, schedule.steps, batch_size))
            callbacks += self.run_callbacks
        if self.profile:
            callbacks.append(self.profile)
        return callbacks

    def _watching(self) -> list[Watching]:
        if self.watch is None:
            return []
        return [Watching(self.run, self.watched, self.watch.every, self.start, self.engine)]

    def _fit(
        self,
        first: int,
        last: int,
        callbacks: list[keras.callbacks.Callback],
        validation: Iterable | None,
    ) -> None:
        """Train from one step to another of the same epoch, or whole epochs."""
        per_epoch = self.schedule.steps_per_epoch
        epoch, epochs = first // per_epoch, max(1, (last - first) // per_epoch)
        batches, making = self.batches.read(first, last), threading.Lock()
        watched = one_at_a_time(batches, making)
        watched = self.profile.watch(watched) if self.profile else watched
        try:
            with self.engine.scope():
                self.model.fit(
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
            # TensorFlow's thread may still be making a batch, and a running generator cannot be
            # closed.
            with making:
                batches.close()

    def _validation(self) -> Iterable | None:
        number = self.schedule.validation_batches
        if not number:
            return None
        # Read once, so that each validation scores the same samples.
        batches = list(self.batches.read(0, number, "validation"))
        return self.engine.feed(FixedBatches(batches))

    def _take_best(self) -> None:
        """Restore the checkpoint with the lowest score."""
        best = best_of(checkpoints(self.run.checkpoints), self.schedule.best)
        if best:
            best.restore(self.model, self.engine)
