"""Plots of the scores during a training."""

from pathlib import Path

from atmorep_k.figures.plots import COLOURS, TASK_TITLES, common_legend, new_figure, save, words_of

_ROWS = {
    "normalised_mse": "squared error / variance",
    "crps": "CRPS",
    "spread_skill": "spread/skill",
}


def draw_watched(watch: Path, directory: Path) -> list[Path]:
    """Draw `watch_<field>.png` of each field with scores into a directory, made if need be.

    Args:
        watch: `watch.csv` of a run.
        directory: where to.

    Returns:
        The paths.
    """
    import pandas as pd

    # Levels are numbers, or "all".
    table = pd.read_csv(watch, dtype={"level": str})
    table = table[table["level"] == "all"]
    directory.mkdir(parents=True, exist_ok=True)
    return [
        save(scores_by_step(of_field), directory / f"watch_{field}.png")
        for field, of_field in table.groupby("field", sort=False)
    ]


def scores_by_step(table):
    """Return the figure of one field's scores by step: a row per score, a column per task.

    Args:
        table: rows of `watch.csv` of one field, over all levels.
    """
    tasks = list(dict.fromkeys(table["task"]))
    rows = [metric for metric in _ROWS if metric in set(table["metric"])]
    figure = new_figure(max(6, 1 + 3.4 * len(tasks)), 0.9 + 2.2 * len(rows))
    field = table["field"].iloc[0].replace("_", " ")
    figure.suptitle(f"{field[0].upper()}{field[1:]}: scores on held-out times during training")
    panels = figure.subplots(len(rows), len(tasks), sharex=True, sharey="row", squeeze=False)
    for of_row, metric in zip(panels, rows, strict=True):
        of_metric = table[table["metric"] == metric]
        units = of_metric["units"].iloc[0]
        of_row[0].set_ylabel(_ROWS[metric] + (f" [{units}]" if units != "1" else ""))
        for axes, task in zip(of_row, tasks, strict=True):
            _draw(axes, of_metric[of_metric["task"] == task], metric)
        of_row[0].set_ylim(bottom=0)  # of the whole row, now that all is drawn
    for axes, task in zip(panels[0], tasks, strict=True):
        axes.set_title(TASK_TITLES[task], fontsize=10)
    for axes in panels[-1]:
        axes.set_xlabel("training step")
        axes.xaxis.get_major_locator().set_params(integer=True)
    common_legend(figure, panels[0], 4)
    return figure


def _draw(axes, table, metric: str) -> None:
    for model, of_model in table.groupby("model", sort=False):
        style = {"color": COLOURS[model], "label": words_of(model)}
        if model == "ensemble":
            axes.plot(of_model["step"], of_model["value"], "o-", markersize=3.5, **style)
        else:
            axes.axhline(of_model["value"].iloc[0], **style)
    if metric == "spread_skill":
        axes.axhline(1, color="0.4", linestyle="--", linewidth=1)
    axes.ticklabel_format(axis="y", style="sci", scilimits=(-3, 4))
    axes.grid(alpha=0.3)
