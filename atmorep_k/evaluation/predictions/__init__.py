"""Scores of written predictions against a store, beside baselines."""

from atmorep_k.evaluation.predictions.evaluate import evaluate
from atmorep_k.evaluation.predictions.report import write_scores

__all__ = ["evaluate", "write_scores"]
