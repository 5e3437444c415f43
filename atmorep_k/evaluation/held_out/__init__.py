"""Scores of a model on windows of the validation period, beside baselines."""

from atmorep_k.evaluation.held_out.scores import HeldOutScores
from atmorep_k.evaluation.held_out.scoring import Scoring, score_held_out

__all__ = ["HeldOutScores", "Scoring", "score_held_out"]
