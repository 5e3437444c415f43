"""Trainings of a few steps."""

from atmorep_k.registry.parameters import named_parameters
from atmorep_k.training import TrainingSchedule


def schedule_of(options, **defaults):
    """Take a schedule's arguments out of `options`; return the schedule."""
    names = [name for name in named_parameters(TrainingSchedule) if name in options]
    return TrainingSchedule(**{**defaults, **{name: options.pop(name) for name in names}})
