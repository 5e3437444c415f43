"""How long a training lasts, and what happens how often on the way."""

import math

import keras

from atmorep_k.errors import UserError
from atmorep_k.registry import Component, component

_POSITIVE = (
    "steps",
    "batch_size",
    "steps_per_epoch",
    "steps_per_execution",
    "checkpoint_every",
    "keep_checkpoints",
)


@component("training_schedule")
class TrainingSchedule(Component):
    """Sets the length of a training, its batches, epochs, validation and checkpoints.

    Example:
        >>> TrainingSchedule(steps=700, steps_per_epoch=100, best="val_loss").steps
        700

    Args:
        steps: training steps in total.
        minutes: time after which the training ends even if steps are left; None: no limit.
        batch_size: samples per step, over all devices.
        steps_per_epoch: steps between validations.
        steps_per_execution: steps that the backend runs before history, progress and signals are
            looked at; must be 1 on PyTorch.
        checkpoint_every: steps between checkpoints.
        keep_checkpoints: number of latest checkpoints to keep.
        best: score by which one more checkpoint is kept, which becomes the model at the end:
            `val_loss`, `loss` or a watched one, `<task>.<field>.<metric>`, at the ends of epochs.
            With None, or if no epoch ends with the score, the last step gives the model.
        validation_batches: held-out batches whose loss is computed after each epoch.

    Raises:
        UserError: if a number is not positive, or `steps_per_execution` does not divide
            `steps_per_epoch` and `checkpoint_every`.
    """

    def __init__(
        self,
        steps: int = 1000,
        minutes: float | None = None,
        batch_size: int = 16,
        steps_per_epoch: int = 100,
        steps_per_execution: int = 1,
        checkpoint_every: int = 100,
        keep_checkpoints: int = 2,
        best: str | None = None,
        validation_batches: int = 4,
    ):
        self.steps = steps
        self.minutes = minutes
        self.batch_size = batch_size
        self.steps_per_epoch = steps_per_epoch
        self.steps_per_execution = steps_per_execution
        self.checkpoint_every = checkpoint_every
        self.keep_checkpoints = keep_checkpoints
        self.best = best
        self.validation_batches = validation_batches
        self._check_numbers()
        self._check_execution()

    def _check_numbers(self) -> None:
        for name in _POSITIVE:
            if getattr(self, name) < 1:
                raise UserError(
                    f"TrainingSchedule.{name} must be at least 1, not {getattr(self, name)}."
                )
        if self.validation_batches < 0:
            raise UserError(
                f"TrainingSchedule.validation_batches must be at least 0, not "
                f"{self.validation_batches}."
            )
        if self.best == "val_loss" and not self.validation_batches:
            raise UserError(
                "TrainingSchedule.best = 'val_loss' needs held-out batches: set "
                "TrainingSchedule.validation_batches above 0, or best = 'loss'."
            )

    def _check_execution(self) -> None:
        number = self.steps_per_execution
        if number > 1 and keras.backend.backend() == "torch":
            raise UserError(
                f"PyTorch runs each step by itself: set TrainingSchedule.steps_per_execution = 1, "
                f"not {number}, or KERAS_BACKEND to jax or tensorflow."
            )
        for name in ("steps_per_epoch", "checkpoint_every"):
            if getattr(self, name) % number:
                raise UserError(
                    f"TrainingSchedule.{name} = {getattr(self, name)} must be a multiple of "
                    f"TrainingSchedule.steps_per_execution = {number}."
                )

    def spans(self, start: int) -> list[tuple[int, int]]:
        """Return the remaining steps, as pairs (first, last) that one `fit` each can train.

        Keras counts whole epochs. So the rest of an epoch that was begun before, all whole epochs,
        and a last epoch that is cut short are three calls of `fit`.
        """
        stop, epoch = self.steps, self.steps_per_epoch
        whole_from = min(stop, math.ceil(start / epoch) * epoch)
        whole_to = max(whole_from, stop // epoch * epoch)
        # Each of the three may be empty.
        cuts = [(start, whole_from), (whole_from, whole_to), (whole_to, stop)]
        return [(first, last) for first, last in cuts if first < last]

    def ends_epoch_with(self, every: int) -> bool:
        """Return whether some epoch ends with a step that is a multiple of `every`."""
        both = math.lcm(every, self.steps_per_epoch)
        # The last epoch may be cut short by the end of the training.
        return self.steps >= both or self.steps % every == 0
