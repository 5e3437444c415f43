"""The learning rates of the original AtmoRep, step by step instead of epoch by epoch."""

import keras
from keras import ops

from atmorep_k.errors import UserError
from atmorep_k.registry import component


@component("schedule")
class WarmupDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Linear rise from first to maximum, then geometric decay to a floor.

    rate = first + (maximum - first) step / warmup_steps, and after that
    max(maximum decay^(-(step - warmup_steps) / decay_steps), floor).

    The defaults give the original's 2024 rates at whole epochs of 512 steps (49,152 samples in
    batches of 96). Of its three warm-up epochs the third already has the maximum: two to rise.

    Args:
        first: rate of step 0.
        maximum: highest rate, that of step `warmup_steps`.
        floor: lowest rate after the warm-up.
        warmup_steps: steps of the rise; 0 starts with `maximum`.
        decay: what the rate is divided by in `decay_steps` steps.
        decay_steps: steps of one such division.

    Raises:
        UserError: for a rate out of order, a decay below 1 or a number of steps out of range.
    """

    def __init__(
        self,
        first: float = 5e-6,
        maximum: float = 1.5e-4,
        floor: float = 4e-5,
        warmup_steps: int = 1024,
        decay: float = 1.025,
        decay_steps: int = 512,
    ):
        self.first = first
        self.maximum = maximum
        self.floor = floor
        self.warmup_steps = warmup_steps
        self.decay = decay
        self.decay_steps = decay_steps
        self._check()

    def _check(self):
        for name in ("first", "floor"):
            rate = getattr(self, name)
            if not 0.0 <= rate <= self.maximum:
                raise UserError(
                    f"WarmupDecay.{name} is {rate}; allowed are rates from 0 to maximum, "
                    f"{self.maximum}."
                )
        for name, least in (("decay", 1.0), ("warmup_steps", 0), ("decay_steps", 1)):
            value = getattr(self, name)
            if not value >= least:
                raise UserError(f"WarmupDecay.{name} is {value}; it must be at least {least}.")

    def __call__(self, step):
        """Returns the learning rate of a step (scalar, float32)."""
        step = ops.cast(step, "float32")
        rise = (self.maximum - self.first) / max(self.warmup_steps, 1)
        divisions = ops.maximum(step - self.warmup_steps, 0.0) / self.decay_steps
        falling = ops.maximum(self.maximum * ops.power(self.decay, -divisions), self.floor)
        return ops.where(step < self.warmup_steps, self.first + rise * step, falling)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            "first": self.first,
            "maximum": self.maximum,
            "floor": self.floor,
            "warmup_steps": self.warmup_steps,
            "decay": self.decay,
            "decay_steps": self.decay_steps,
        }
