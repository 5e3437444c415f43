"""Callbacks of every training: history, checkpoints, progress, a limit of time."""

import csv
import math
import time
from typing import Any

import keras

from atmorep_k.console import Bar
from atmorep_k.distribution import Engine
from atmorep_k.errors import UserError
from atmorep_k.runs.checkpoints import CheckpointWriter
from atmorep_k.runs.directory import HISTORY_COLUMNS, RunDirectory
from atmorep_k.training.interruption import Interruption


class StepCallback(keras.callbacks.Callback):
    """Counts steps; several of them may be between two calls (`steps_per_execution`).

    Args:
        start_step: steps done before, in a resumed run.

    Attributes:
        step: number of the last step that is done.
        done: steps since the call before.
    """

    def __init__(self, start_step: int = 0):
        super().__init__()
        self.step = start_step
        self.done = 0

    def on_train_batch_begin(self, batch, logs=None):
        """Note when the steps begin."""
        self.begun = time.monotonic()
        self._first = batch

    def on_train_batch_end(self, batch, logs=None):
        """Count steps; after a last, shorter execution Keras still names its full number."""
        last = min(batch, self.params["steps"] - 1)
        self.done = last + 1 - self._first
        self.step += self.done

    def epoch_goes_on(self, batch: int) -> bool:
        """Return whether the epoch has more steps."""
        return batch + 1 < self.params["steps"] and not self.model.stop_training


class History(StepCallback):
    """Appends a row to history.csv after each step; after several that are one execution, one row.

    Args:
        run: where to write.
        start_step: steps done before, in a resumed run.
        batch_size: samples of a step.
        steps_per_epoch: steps of an epoch.
        seconds: time the run took before it was resumed.
        write: whether this process writes; of several one does, but all do the same with the loss.

    Raises:
        UserError: if the loss is not finite.
    """

    def __init__(
        self,
        run: RunDirectory,
        start_step: int,
        batch_size: int,
        steps_per_epoch: int,
        seconds: float,
        write: bool = True,
    ):
        super().__init__(start_step)
        self.write = write
        self.run = run
        self.batch_size = batch_size
        self.steps_per_epoch = steps_per_epoch
        self.started = time.monotonic() - seconds
        self.pending: dict[str, Any] | None = None

    def on_train_batch_begin(self, batch, logs=None):
        """Also note the learning rate, before the step changes it."""
        self.rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        super().on_train_batch_begin(batch)

    def on_train_batch_end(self, batch, logs=None):
        """Write the row of the step; that of an epoch's last step waits for the validation."""
        now, epoch = time.monotonic(), self.step // self.steps_per_epoch
        super().on_train_batch_end(batch)
        loss = float(logs["batch_loss"])
        # Also true for NaN, which is not less than anything.
        if not abs(loss) < float("inf"):
            raise UserError(
                f"the loss of step {self.step} is {loss}: lower the learning rate or clip gradients"
                f" (AdamW.global_clipnorm); the last good state is in {self.run.checkpoints}."
            )
        self.pending = {
            "step": self.step,
            "epoch": epoch,
            "loss": repr(loss),
            "learning_rate": f"{self.rate:.6g}",
            "samples_per_second": f"{self.done * self.batch_size / (now - self.begun):.2f}",
            "seconds": f"{now - self.started:.2f}",
        }
        if self.epoch_goes_on(batch):
            self._write()

    def on_epoch_end(self, epoch, logs=None):
        """Write the last step's row with the validation loss."""
        if self.pending and "val_loss" in (logs or {}):
            self.pending["val_loss"] = repr(float(logs["val_loss"]))
        self._write()

    def _write(self):
        if self.pending and self.write:
            with self.run.history.open("a", newline="") as file:
                csv.DictWriter(file, HISTORY_COLUMNS).writerow(self.pending)
        self.pending = None


class Checkpointing(StepCallback):
    """Saves the whole state, optimiser included, every n steps, and when a signal asks to stop.

    It comes after `History` in the list of callbacks: what a checkpoint has seen is written down.

    Args:
        writer: writes and keeps them.
        start_step: steps done before, in a resumed run.
        every: steps between checkpoints; where the best is kept, also after each epoch.
        interruption: what may ask to stop.

    Raises:
        Interrupted: if it asked; a checkpoint is written.
    """

    def __init__(
        self, writer: CheckpointWriter, start_step: int, every: int, interruption: Interruption
    ):
        super().__init__(start_step)
        self.writer = writer
        self.every = every
        self.interruption = interruption

    def on_train_batch_end(self, batch, logs=None):
        """Save where it is time to; after an epoch's last step only when it is validated."""
        super().on_train_batch_end(batch)
        if self.epoch_goes_on(batch):
            self._save({}, self.step % self.every == 0)

    def on_epoch_end(self, epoch, logs=None):
        """Save where it is time to."""
        scores = {name: float(value) for name, value in (logs or {}).items()}
        self._save(scores, self.step % self.every == 0 or self.writer.best in scores)

    def _save(self, scores: dict[str, float], due: bool) -> None:
        asked = self.interruption.asked()
        if due or asked:
            self.writer.save(self.model, self.step, scores)
        if asked:
            # The checkpoint must be complete before the process may end.
            self.writer.wait()
            raise self.interruption.interrupted(self.step)


class Progress(StepCallback):
    """Shows loss, samples per second and time left.

    Args:
        bar: where to show them.
        start_step: steps done before, in a resumed run.
        steps: steps in total.
        batch_size: samples of a step.
    """

    def __init__(self, bar: Bar, start_step: int, steps: int, batch_size: int):
        super().__init__(start_step)
        self.bar = bar
        self.steps = steps
        self.batch_size = batch_size
        self.bar.advance(start_step, steps, "compiling")

    def on_train_batch_end(self, batch, logs=None):
        """Show the step's figures."""
        super().on_train_batch_end(batch)
        rate = self.done * self.batch_size / (time.monotonic() - self.begun)
        figures = f"{self.step}/{self.steps}  loss {float(logs['loss']):.4f}  {rate:.1f} samples/s"
        self.bar.advance(self.step, self.steps, figures)


class StopAfter(keras.callbacks.Callback):
    """Ends a training after some time.

    It comes first in the list of callbacks: the others treat the last step as an epoch's last.

    Args:
        minutes: of training, those before it was resumed included; None: without end.
        seconds: time the run took before it was resumed.
        engine: of the training, whose processes stop at the same step.
    """

    def __init__(self, minutes: float | None, seconds: float, engine: Engine):
        super().__init__()
        self.engine = engine
        self.end = math.inf if minutes is None else 60 * minutes
        self.begun = time.monotonic() - seconds

    def on_train_batch_end(self, batch, logs=None):
        """Stop when the time is over; the epoch ends, and with it the training."""
        # Without a limit no step pays for asking the other processes.
        if self.end == math.inf:
            return
        # Clocks differ: when one process is over its time, all stop at this step.
        if self.engine.any(time.monotonic() - self.begun >= self.end):
            self.model.stop_training = True
