"""How a training scores its model at the end."""

from typing import Any

from atmorep_k.console import bar, counter
from atmorep_k.evaluation.held_out import evaluate
from atmorep_k.model import AtmoRep
from atmorep_k.registry import Component, component


@component("scoring")
class Scoring(Component):
    """Scores a model on held-out windows, each task a masking.

    Args:
        maskings: task (`masked`, `forecast`, `interpolate`, `infill`) -> masking.
        num_samples: held-out windows per task.
        batch_size: windows predicted at once.
        seed: which windows are drawn.
    """

    def __init__(
        self, maskings: dict[str, Any], num_samples: int = 64, batch_size: int = 16, seed: int = 1
    ):
        self.maskings = dict(maskings)
        self.num_samples = num_samples
        self.batch_size = batch_size
        self.seed = seed

    def run(self, model: AtmoRep, dataset):
        """Returns the `Evaluation` of the model."""
        with bar("scoring", "windows/s") as shown:
            return evaluate.evaluate(
                model,
                dataset,
                self.maskings,
                num_samples=self.num_samples,
                batch_size=self.batch_size,
                seed=self.seed,
                progress=counter(shown, self.num_samples * len(self.maskings)),
            )
