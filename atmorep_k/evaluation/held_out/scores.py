"""The scores of a trained model on held-out windows, beside baselines on the same points."""

import dataclasses
import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from atmorep_k.console import new_table
from atmorep_k.evaluation.held_out.field_sums import scores_of_field
from atmorep_k.evaluation.metrics import in_units
from atmorep_k.files import cannot_write, write_whole


@dataclasses.dataclass(frozen=True)
class HeldOutScores:
    """The scores of a model's predicted fields, by task, field, level and lead time of a forecast.

    Args:
        sums: task -> field -> sums over the masked points, see `FieldSums.data`; with the
            attributes `units` and `long_name` and, for a forecast, the coordinate
            `lead_time_hours` along time.
        pictures: task -> field -> one window with `target`, `prediction` (mean of the members,
            the target where nothing was masked), `spread` and `hidden`, see `truth.picture`.
        simulated: whether the atmosphere is a simulated one, which has no coastlines.
    """

    sums: dict[str, dict[str, xr.Dataset]]
    pictures: dict[str, dict[str, xr.Dataset]]
    simulated: bool = False

    def scores(self, task: str, field: str, preserve_dims: tuple[str, ...] = ()) -> xr.Dataset:
        """Return the scores (model, ...) of a field in a task, by `level` and `time` if asked."""
        return scores_of_field(self.sums[task][field], preserve_dims)

    def rank_histogram(self, task: str, field: str) -> xr.DataArray:
        """Return the share (level, rank) of masked points at which the target has each rank."""
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
        """Return a `rich` table of the scores over all levels; `*` marks the best of a field."""
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
        """Write `scores.json` and, in `plots/`, the pictures.

        Raises:
            UserError: if the directory cannot be written.
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


def records_of(task: str, field: str, sums: xr.Dataset) -> Iterator[dict[str, Any]]:
    """Yield the scores of a field in a task as `scores.json` holds them, see docs/scores.md.

    Args:
        task: name of the task.
        field: name of the field.
        sums: as in `HeldOutScores`.
    """
    for level in [*sums["level"].values.tolist(), "all"]:
        of_level = sums if level == "all" else sums.sel(level=[level])
        for lead_time, part in _lead_times(of_level):
            common = {"task": task, "field": field, "level": level} | lead_time
            for model, metric, value in _values(scores_of_field(part)):
                units = sums.attrs["units"] if in_units(metric) else "1"
                known = value if np.isfinite(value) else None
                yield common | {"metric": metric, "model": model, "value": known, "units": units}


def _lead_times(sums: xr.Dataset) -> Iterator[tuple[dict[str, float], xr.Dataset]]:
    """Yield all times together, then, for a forecast, each lead time."""
    yield {}, sums
    if "lead_time_hours" in sums.coords:
        for step in np.flatnonzero(sums["weight"].sum("level")):
            hours = float(sums["lead_time_hours"][step])
            yield {"lead_time_hours": hours}, sums.isel(time=[step])


def _values(scores: xr.Dataset) -> Iterator[tuple[str, str, float]]:
    for model in scores["model"].values.tolist():
        for metric in map(str, scores.data_vars):
            if metric != "spread_skill" or model == "ensemble":
                yield model, metric, float(scores[metric].sel(model=model))


def _add_rows(table, task: str, field: str, sums: xr.Dataset) -> None:
    values = {(model, metric): value for model, metric, value in _values(scores_of_field(sums))}
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
