"""What a saved model can be asked: one class per task, and a function of the same parameters."""

from atmorep_k.tasks.attention import Attention
from atmorep_k.tasks.correct import Correct
from atmorep_k.tasks.counterfactual import Counterfactual
from atmorep_k.tasks.evaluate import Evaluate
from atmorep_k.tasks.features import Features
from atmorep_k.tasks.forecast import Forecast
from atmorep_k.tasks.infill import Infill
from atmorep_k.tasks.interpolate import Interpolate
from atmorep_k.tasks.point import Point
from atmorep_k.tasks.question import Question
from atmorep_k.tasks.reconstruct import Reconstruct
from atmorep_k.tasks.rollout import Rollout

# The one table of tasks, in the order of help texts: commands, gin files and tests read it.
QUESTIONS: tuple[type[Question], ...] = (
    Forecast,
    Interpolate,
    Reconstruct,
    Rollout,
    Point,
    Attention,
    Features,
    Infill,
    Counterfactual,
    Correct,
    Evaluate,
)

__all__ = ["QUESTIONS", "Question", *(question.__name__ for question in QUESTIONS)]
