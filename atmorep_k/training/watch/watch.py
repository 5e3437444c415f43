"""Scores of a model on held-out windows while it is trained."""

from typing import Any

from atmorep_k.errors import UserError
from atmorep_k.evaluation.held_out.scoring import check_tasks
from atmorep_k.evaluation.held_out.windows import HeldOut
from atmorep_k.protocols import Masking, Model
from atmorep_k.registry import Component, component
from atmorep_k.training.watch.windows import WatchedWindows

# The less of these the better; a state of a model can be the best by them.
METRICS = ("normalised_mse", "rmse", "crps")


@component("scoring")
class Watch(Component):
    """Scores a model every n steps of its training on held-out windows, each task a masking.

    The maskings may differ from the one trained with. What is read stays in memory: for each task
    and window the inputs of the model, and the truth and three baselines of each predicted field.

    Args:
        maskings: task (`masked`, `forecast`, `interpolate`, `infill`) -> masking.
        every: steps between scores.
        num_samples: held-out windows per task, always the same.
        batch_size: windows predicted at once.
        baselines: whether baselines are scored, once; the climatology reads the training period.
        seed: which windows are drawn; by default not those that `Scoring` draws at the end.

    Raises:
        UserError: if `maskings` is empty, or a number is not positive.
    """

    def __init__(
        self,
        maskings: dict[str, Masking],
        every: int = 100,
        num_samples: int = 16,
        batch_size: int = 16,
        baselines: bool = True,
        seed: int = 2,
    ):
        self.maskings = dict(maskings)
        self.every = every
        self.num_samples = num_samples
        self.batch_size = batch_size
        self.baselines = baselines
        self.seed = seed
        if not self.maskings:
            raise UserError("Watch.maskings is empty: name a task and its masking.")
        for name in ("every", "num_samples", "batch_size"):
            if getattr(self, name) < 1:
                raise UserError(f"Watch.{name} must be at least 1, not {getattr(self, name)}.")

    def names(self, fields: list) -> list[str]:
        """Return the scores by which a state can be the best: `<task>.<field>.<metric>`.

        Args:
            fields: the `FieldSpec`s of the model.

        Raises:
            UserError: if a task is unknown, or its masking does not suit a field's window.
        """
        check_tasks(self.maskings, fields)
        predicted = [f.name for f in fields if f.predicted]
        return [f"{t}.{f}.{m}" for t in self.maskings for f in predicted for m in METRICS]

    def windows(self, model: Model, dataset: Any) -> list[WatchedWindows]:
        """Read the windows of all tasks.

        Args:
            model: has `fields` and `normalizers`.
            dataset: open for them.
        """
        held_out = HeldOut(model, dataset, self.num_samples, self.seed, self.baselines)
        size = min(self.batch_size, self.num_samples)
        found = []
        for task, masking in self.maskings.items():
            numbers = range(self.num_samples)
            samples = [dataset.window("validation", self.seed, n, masking) for n in numbers]
            found.append(WatchedWindows(held_out, task, samples, size))
        return found
