"""The tasks as functions: what `atmorep_k` hands on."""

from atmorep_k.tasks.attention import attention
from atmorep_k.tasks.correct import correct
from atmorep_k.tasks.counterfactual import counterfactual
from atmorep_k.tasks.evaluate import evaluate
from atmorep_k.tasks.features import features
from atmorep_k.tasks.forecast import forecast
from atmorep_k.tasks.infill import infill
from atmorep_k.tasks.interpolate import interpolate
from atmorep_k.tasks.point import point
from atmorep_k.tasks.reconstruct import reconstruct
from atmorep_k.tasks.rollout import rollout

__all__ = [
    "attention",
    "correct",
    "counterfactual",
    "evaluate",
    "features",
    "forecast",
    "infill",
    "interpolate",
    "point",
    "reconstruct",
    "rollout",
]
