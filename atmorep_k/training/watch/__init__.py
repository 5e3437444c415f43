"""Scores of held-out windows while a model trains."""

from atmorep_k.training.watch.callback import Watching
from atmorep_k.training.watch.watch import Watch

__all__ = ["Watch", "Watching"]
