"""A model, a dataset and a masking become a saved, scored model."""

from atmorep_k.training.pretraining import Pretraining
from atmorep_k.training.schedule import TrainingSchedule

__all__ = ["Pretraining", "TrainingSchedule"]
