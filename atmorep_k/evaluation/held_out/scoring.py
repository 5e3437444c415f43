"""How a model is scored on held-out windows, at the end of its training."""

from collections.abc import Callable
from typing import Any

import xarray as xr

from atmorep_k.console import bar, counter
from atmorep_k.errors import UserError, unknown
from atmorep_k.evaluation.held_out.field_sums import FieldSums
from atmorep_k.evaluation.held_out.scores import HeldOutScores
from atmorep_k.evaluation.held_out.windows import HeldOut
from atmorep_k.inference.batches import forget_shapes, predict_batch
from atmorep_k.model import AtmoRep
from atmorep_k.registry import Component, component

TASKS = ("masked", "forecast", "interpolate", "infill")


@component("scoring")
class Scoring(Component):
    """Score a model on held-out windows, each task a masking.

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
        """Return the `HeldOutScores` of the model."""
        with bar("scoring", "windows/s") as shown:
            return score_held_out(
                model,
                dataset,
                self.maskings,
                num_samples=self.num_samples,
                batch_size=self.batch_size,
                seed=self.seed,
                progress=counter(shown, self.num_samples * len(self.maskings)),
            )


def score_held_out(
    model,
    dataset,
    maskings: dict[str, Any],
    *,
    num_samples: int,
    batch_size: int,
    seed: int,
    progress: Callable[[int], None] | None = None,
) -> HeldOutScores:
    """Score a model on held-out windows, the same windows for every task.

    Only sums are kept of a window, so that memory does not grow with their number; the first
    window of each task stays for the pictures.

    Args:
        model: the trained model, with `fields`, `normalizers` and `predict_on_batch`.
        dataset: an open dataset; the windows are 0..num_samples-1 of its validation period.
        maskings: task (one of `TASKS`) -> masking. It should mask entirely what it wants predicted:
            the baselines see nothing of a token that counts.
        num_samples: windows per task.
        batch_size: windows predicted at once; the last batch is filled up, so that shapes are
            the same throughout a task.
        seed: seed of the windows and masks.
        progress: called with the number of windows scored since the last call.

    Raises:
        UserError: if a task is unknown, a masking does not suit the window, or a size is not
            positive.
    """
    check_tasks(maskings, model.fields)
    if num_samples < 1 or batch_size < 1:
        raise UserError(
            f"scoring needs at least one sample and a batch of at least one, "
            f"not {num_samples} and {batch_size}."
        )
    held_out = HeldOut(model, dataset, num_samples, seed)
    sums: dict[str, dict[str, FieldSums]] = {}
    pictures: dict[str, dict[str, xr.Dataset]] = {}
    for task, masking in maskings.items():
        sums[task] = {field.name: FieldSums(field.levels) for field in held_out.fields}
        pictures[task] = {}
        forget_shapes(model)
        for first in range(0, num_samples, batch_size):
            indices = range(first, min(first + batch_size, num_samples))
            samples = [dataset.window("validation", seed, i, masking) for i in indices]
            predictions = predict_batch(model, samples, batch_size)
            for field in held_out.fields:
                for sample, values in zip(samples, predictions[field.name], strict=False):
                    window, members = held_out.compared(task, field, sample, values)
                    sums[task][field.name].add(window, members)
                    if field.name not in pictures[task]:
                        picture = held_out.picture(field, sample, window, members)
                        pictures[task][field.name] = picture
            if progress:
                progress(len(samples))
    labelled = {
        task: {f.name: held_out.label(task, f, of_task[f.name].data) for f in held_out.fields}
        for task, of_task in sums.items()
    }
    return HeldOutScores(labelled, pictures, held_out.simulated)


def check_tasks(maskings: dict[str, Any], fields: list) -> None:
    """Check that tasks can be scored, before a model is trained for them.

    Args:
        maskings: task -> masking.
        fields: the `FieldSpec`s of the model.

    Raises:
        UserError: if a task is unknown, or a masking does not suit a field's window.
    """
    for task, masking in maskings.items():
        if task not in TASKS:
            raise unknown("task", task, TASKS)
        for field in fields:
            if field.predicted:
                masking.num_slots(field.num_tokens)
