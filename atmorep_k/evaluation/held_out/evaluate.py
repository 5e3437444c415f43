"""Scores of a trained model on held-out windows, beside baselines on the same masks."""

import dataclasses
import functools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from atmorep_k.console import new_table
from atmorep_k.errors import UserError, unknown
from atmorep_k.evaluation.held_out.window import HeldOutWindow
from atmorep_k.evaluation.held_out.windows import HeldOut
from atmorep_k.evaluation.sums import ScoreSums, scores_of
from atmorep_k.files import cannot_write, write_whole
from atmorep_k.inference.batches import forget_shapes, hidden_tokens, predict_batch, scatter

TASKS = ("masked", "forecast", "interpolate", "infill")


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The scores of a model's predicted fields, by task, field, level and lead time of a forecast.

    Args:
        sums: task -> field -> sums over the hidden points, see `scores.ScoreSums`; with the
            attributes `units` and `long_name` and, for a forecast, the coordinate
            `lead_time_hours` along time.
        pictures: task -> field -> one window with `target`, `prediction` (mean of the members,
            the target where nothing was hidden), `spread` and `hidden`, see `truth.picture`.
        simulated: whether the atmosphere is a simulated one, which has no coastlines.
    """

    sums: dict[str, dict[str, xr.Dataset]]
    pictures: dict[str, dict[str, xr.Dataset]]
    simulated: bool = False

    def scores(self, task: str, field: str, preserve_dims: tuple[str, ...] = ()) -> xr.Dataset:
        """Returns the scores (model, ...) of a field in a task, by `level` and `time` if asked."""
        return scores_of(self.sums[task][field], preserve_dims)

    def rank_histogram(self, task: str, field: str) -> xr.DataArray:
        """Returns the share (level, rank) of hidden points at which the target has each rank."""
        ranks = self.sums[task][field]["ranks"]
        return ranks / ranks.sum("rank")

    @functools.cached_property
    def records(self) -> list[dict[str, Any]]:
        """The scores as `scores.json` holds them, see docs/scores.md."""
        return [
            record
            for task, fields in self.sums.items()
            for field, sums in fields.items()
            for record in records_of(task, field, sums)
        ]

    def table(self):
        """Returns a `rich` table of the scores over all levels; `*` marks the best of a field."""
        table = new_table(
            "Scores on held-out times, all levels (* best)",
            ("task", "model"),
            ("normalised\nMSE", "RMSE", "CRPS", "spread/\nskill"),
        )
        for task, fields in self.sums.items():
            for field, sums in fields.items():
                _add_rows(table, task, field, sums)
        return table

    def write(self, directory: Path) -> None:
        """Writes `scores.json` and, in `plots/`, the pictures.

        Raises:
            UserError: where the directory cannot be written.
        """
        from atmorep_k.figures import plots

        pictures = Path(directory, "plots")
        try:
            pictures.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(pictures, error) from error
        text = json.dumps(self.records, indent=1, allow_nan=False) + "\n"
        write_whole(Path(directory, "scores.json"), lambda path: path.write_text(text))
        plots.draw_evaluation(self, pictures)


def evaluate(
    model,
    dataset,
    maskings: dict[str, Any],
    *,
    num_samples: int,
    batch_size: int,
    seed: int,
    progress: Callable[[int], None] | None = None,
) -> Evaluation:
    """Scores a model on held-out windows, the same windows for every task.

    Only sums are kept of a window, so that memory does not grow with their number; the first
    window of each task stays for the pictures.

    Args:
        model: the trained model, with `fields`, `normalizers` and `predict_on_batch`.
        dataset: an open dataset; the windows are 0..num_samples-1 of its validation period.
        maskings: task (one of `TASKS`) -> masking. It should hide all that it wants predicted:
            the baselines see nothing of a token that counts.
        num_samples: windows per task.
        batch_size: windows predicted at once; the last batch is filled up, so that shapes are
            the same throughout a task.
        seed: seed of the windows and masks.
        progress: called with the number of windows scored since the last call.

    Raises:
        UserError: for an unknown task, a masking that does not suit the window, or a size that
            is not positive.
    """
    check_tasks(maskings, model.fields)
    if num_samples < 1 or batch_size < 1:
        raise UserError(
            f"scoring needs at least one sample and a batch of at least one, "
            f"not {num_samples} and {batch_size}."
        )
    held_out = HeldOut(model, dataset, num_samples, seed)
    sums, pictures = {}, {}
    for task, masking in maskings.items():
        sums[task], pictures[task] = {}, {}
        forget_shapes(model)
        for first in range(0, num_samples, batch_size):
            indices = range(first, min(first + batch_size, num_samples))
            samples = [dataset.window("validation", seed, i, masking) for i in indices]
            predictions = predict_batch(model, samples, batch_size)
            for field in held_out.fields:
                for sample, values in zip(samples, predictions[field.name], strict=False):
                    hidden, members = scatter(field, *hidden_tokens(field, sample), values)
                    window = held_out.window(task, field, sample, hidden)
                    members = window.physical(members)
                    add_window(sums[task], field, window, members)
                    if field.name not in pictures[task]:
                        picture = held_out.picture(field, sample, window, members)
                        pictures[task][field.name] = picture
            if progress:
                progress(len(samples))
    described = {
        task: {f.name: held_out.describe(task, f, fields[f.name]) for f in held_out.fields}
        for task, fields in sums.items()
    }
    return Evaluation(described, pictures, held_out.simulated)


def check_tasks(maskings: dict[str, Any], fields: list) -> None:
    """Checks that tasks can be scored, before a model is trained for them.

    Args:
        maskings: task -> masking.
        fields: the `FieldSpec`s of the model.

    Raises:
        UserError: for an unknown task, or a masking that does not suit a field's window.
    """
    for task, masking in maskings.items():
        if task not in TASKS:
            raise unknown("task", task, TASKS)
        for field in fields:
            if field.predicted:
                masking.num_slots(field.num_tokens)


def add_window(
    sums: dict[str, ScoreSums], field, window: HeldOutWindow, members: np.ndarray
) -> None:
    """Adds a window to the sums of its field, which are made with the first.

    Args:
        sums: field -> sums.
        field: the `FieldSpec`.
        window: truth and baselines.
        members: (member, level, time, lat, lon) in physical units.
    """
    if field.name not in sums:
        names = list(window.baselines)
        sums[field.name] = ScoreSums(field.levels, members.shape[2], names, len(members))
    forecasts = {"ensemble": members, **window.baselines}
    sums[field.name].add(window.hidden, window.target, forecasts, window.scale)


def records_of(task: str, field: str, sums: xr.Dataset) -> Iterator[dict[str, Any]]:
    """Yields the scores of a field in a task as `scores.json` holds them, see docs/scores.md.

    Args:
        task: name of the task.
        field: name of the field.
        sums: as in `Evaluation`.
    """
    for level in [*sums["level"].values.tolist(), "all"]:
        of_level = sums if level == "all" else sums.sel(level=[level])
        for lead_time, part in _lead_times(of_level):
            common = {"task": task, "field": field, "level": level} | lead_time
            for model, metric, value in _values(scores_of(part)):
                units = sums.attrs["units"] if metric in ("rmse", "crps", "bias") else "1"
                value = value if np.isfinite(value) else None
                yield common | {"metric": metric, "model": model, "value": value, "units": units}


def _lead_times(sums: xr.Dataset) -> Iterator[tuple[dict[str, float], xr.Dataset]]:
    """Yields all times together, then, for a forecast, each lead time."""
    yield {}, sums
    if "lead_time_hours" in sums.coords:
        for step in np.flatnonzero(sums["count"].sum("level")):
            hours = float(sums["lead_time_hours"][step])
            yield {"lead_time_hours": hours}, sums.isel(time=[step])


def _values(scores: xr.Dataset) -> Iterator[tuple[str, str, float]]:
    for model in scores["model"].values.tolist():
        for metric in scores.data_vars:
            if metric != "spread_skill" or model == "ensemble":
                yield model, metric, float(scores[metric].sel(model=model))


def _add_rows(table, task: str, field: str, sums: xr.Dataset) -> None:
    values = {(model, metric): value for model, metric, value in _values(scores_of(sums))}
    models = sums["model"].values.tolist()
    heads = [task, field, f"({sums.attrs['units']})"] + [""] * len(models)
    for model, head in zip(models, heads, strict=False):
        cells = [head, model.replace("_", " ")]
        for metric in ("normalised_mse", "rmse", "crps"):
            value, best = values[model, metric], np.fmin.reduce([values[m, metric] for m in models])
            cells.append(f"[bold]{value:.3g}*[/bold]" if value == best else f"{value:.3g} ")
        spread_skill = values.get((model, "spread_skill"))
        cells.append("" if spread_skill is None else f"{spread_skill:.2f}")
        table.add_row(*cells, end_section=model == models[-1])
