"""Plots of a run, as PNG: the loss, maps of predictions, ranks, scores beside baselines.

Figures are made without pyplot, which would touch a window system and global state.
"""

import csv
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from atmorep_k.figures.maps import coastlines, prediction_maps
from atmorep_k.files import write_whole

if TYPE_CHECKING:
    from matplotlib.artist import Artist

# Okabe & Ito (2008), https://jfly.uni-koeln.de/color: distinct for colour-blind readers.
COLOURS = {
    "ensemble": "#0072B2",
    "climatology": "#E69F00",
    "persistence": "#009E73",
    "linear_interpolation": "#CC79A7",
    "input": "#56B4E9",
}
RED = "#D55E00"
TASK_TITLES = {
    "masked": "Random tokens masked",
    "forecast": "Forecast",
    "interpolate": "Interpolation in time",
    "infill": "Infilling of a block",
}


def save(figure, path: Path) -> Path:
    """Write a figure as PNG, whole or not at all, and return the path."""
    return write_whole(path, lambda partial: save_to(figure, partial))


def save_to(figure, stream) -> None:
    """Write a figure as PNG into a path or a binary stream."""
    figure.savefig(stream, format="png", dpi=120, bbox_inches="tight")


def draw_evaluation(evaluation, directory: Path) -> None:
    """Draw all pictures of `HeldOutScores` into an existing directory."""
    lines = [] if evaluation.simulated else coastlines()
    names = {}
    for task, pictures in evaluation.pictures.items():
        for field, picture in pictures.items():
            names[field] = picture.attrs["long_name"]
            figure = prediction_maps(picture, TASK_TITLES[task], lines)
            save(figure, directory / f"map_{task}_{field}.png")
    for field, name in names.items():
        ranks = {task: evaluation.rank_histogram(task, field) for task in evaluation.sums}
        save(rank_histograms(ranks, name), directory / f"ranks_{field}.png")
        if "forecast" in evaluation.sums:
            scores = evaluation.scores("forecast", field, ("time",))
            save(lead_times(scores), directory / f"lead_times_{field}.png")
    save(score_bars(evaluation.records), directory / "scores.png")


def draw_maps(pictures: dict[str, xr.Dataset], task: str, directory: Path, *how) -> list[Path]:
    """Draw `map_<task>_<field>.png` into a directory, made if need be; return the paths.

    Args:
        pictures: field -> what `maps.prediction_maps` draws.
        task: name of the task.
        directory: where to.
        *how: the further arguments of `maps.prediction_maps`.
    """
    directory.mkdir(parents=True, exist_ok=True)
    return [
        save(prediction_maps(picture, *how), directory / f"map_{task}_{field}.png")
        for field, picture in pictures.items()
    ]


def draw_history(history: Path, directory: Path) -> None:
    """Draw the loss curve of a `history.csv` into a directory, made if need be."""
    directory.mkdir(parents=True, exist_ok=True)
    save(loss_curve(history), directory / "loss.png")


def loss_curve(history: Path):
    """Return the figure of the loss by step: each step faint, a running mean, the validation.

    Args:
        history: CSV file with columns `step`, `loss`, `learning_rate` and `val_loss`; cells may
            be empty.
    """
    with Path(history).open() as file:
        rows = list(csv.DictReader(file))
    figure = new_figure(8, 4.5)
    axes = figure.add_subplot(xlabel="training step", ylabel="loss", title="Loss during training")
    step, loss = _column(rows, "loss")
    width = max(1, len(loss) // 40)
    axes.plot(step, loss, color=COLOURS["ensemble"], alpha=0.25, linewidth=0.8)
    label = f"training, mean of {width} steps" if width > 1 else "training"
    axes.plot(step, running_mean(loss, width), color=COLOURS["ensemble"], label=label)
    if len((held_out := _column(rows, "val_loss"))[0]):
        axes.plot(*held_out, "o-", color=RED, markersize=4, label="held-out times")
    if len(loss) and loss.min() > 0 and loss.max() > 20 * loss.min():
        axes.set_yscale("log")
    if len((rate := _column(rows, "learning_rate"))[0]):
        right = axes.twinx()
        right.plot(*rate, color="0.6", linewidth=1, linestyle=":")
        right.set_ylabel("learning rate (dotted)", color="0.4")
        right.set_ylim(bottom=0)
        right.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
    axes.legend(loc="upper right", framealpha=0.9)
    axes.grid(alpha=0.3)
    return figure


def rate_curve(history: Path):
    """Return the figure of samples per second by step: each step faint, and a running mean.

    Args:
        history: CSV file with columns `step` and `samples_per_second`; cells may be empty.
    """
    with Path(history).open() as file:
        step, rate = _column(list(csv.DictReader(file)), "samples_per_second")
    figure = new_figure(8, 2.6)
    axes = figure.add_subplot(xlabel="training step", ylabel="samples/s", title="Rate of training")
    axes.plot(step, rate, color=COLOURS["persistence"], alpha=0.25, linewidth=0.8)
    axes.plot(step, running_mean(rate, max(1, len(rate) // 40)), color=COLOURS["persistence"])
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    return figure


def running_mean(values: np.ndarray, width: int) -> np.ndarray:
    """Return the mean of up to `width` values around each; fewer at the ends."""
    if not len(values):
        return values
    kernel = np.ones(width)
    total = np.convolve(values, kernel, mode="same")[: len(values)]
    return total / np.convolve(np.ones(len(values)), kernel, mode="same")[: len(values)]


def rank_histograms(ranks: dict[str, xr.DataArray], name: str):
    """Return the figure of rank histograms, one panel per task, beside the flat one expected.

    Args:
        ranks: task, or the title of a panel -> share (level, rank) of points at which the target
            has each rank.
        name: the field in words.
    """
    figure = new_figure(max(5.5, 1 + 3.4 * len(ranks)), 3.6)
    figure.suptitle(f"{_capital(name)}: rank of the target among the members")
    panels = figure.subplots(1, len(ranks), sharey=True, squeeze=False)[0]
    for axes, (task, shares) in zip(panels, ranks.items(), strict=True):
        expected = 1 / shares.sizes["rank"]
        several = shares.sizes["level"] > 1
        relative = shares.mean("level") / expected
        label = "mean of all levels" if several else "points that count"
        axes.bar(shares["rank"], relative, width=0.9, color="#56B4E9", label=label)
        if several:
            for level in shares["level"].values:
                line = shares.sel(level=level) / expected
                axes.plot(shares["rank"], line, color="0.3", linewidth=0.7, label="each level")
        axes.axhline(1, color=RED, linestyle="--", label="reliable ensemble")
        axes.set_title(TASK_TITLES.get(task, task), fontsize=10)
        axes.set_xlabel("members below the target")
        axes.xaxis.get_major_locator().set_params(integer=True)
    panels[0].set_ylabel("frequency / expected")
    common_legend(figure, panels, 3)
    return figure


def lead_times(scores: xr.Dataset):
    """Return the figure of the error of a forecast by lead time.

    Args:
        scores: `rmse`, `spread_skill` (model, time) with the coordinate `lead_time_hours` and the
            attributes `long_name` and `units`.
    """
    scores = scores.dropna("time", how="all").swap_dims(time="lead_time_hours")
    hours = scores["lead_time_hours"]
    figure = new_figure(6.5, 4.2)
    axes = figure.add_subplot(xlabel="hours after the last visible time")
    axes.set_title(f"{_capital(scores.attrs['long_name'])}: forecast by lead time")
    axes.set_ylabel(f"RMSE [{scores.attrs['units']}]")
    for model in scores["model"].values:
        values = scores["rmse"].sel(model=model)
        axes.plot(hours, values, "o-", color=COLOURS[model], markersize=4, label=words_of(model))
    if "spread_skill" in scores:
        best = scores.sel(model="ensemble")
        spread = best["rmse"] * best["spread_skill"]
        axes.plot(hours, spread, "--", color=COLOURS["ensemble"], label="spread of the ensemble")
    axes.set_ylim(bottom=0)
    axes.ticklabel_format(axis="y", style="sci", scilimits=(-3, 4))
    axes.xaxis.get_major_locator().set_params(integer=True)
    figure.legend(loc="outside lower center", ncols=2)
    axes.grid(alpha=0.3)
    return figure


def score_bars(records: list[dict[str, Any]]):
    """Return the figure of normalised MSE over all levels, one panel per task.

    Args:
        records: those of `HeldOutScores.records`.
    """
    chosen = [r for r in records if r["metric"] == "normalised_mse" and r["level"] == "all"]
    chosen = [r for r in chosen if "lead_time_hours" not in r]
    tasks = list(dict.fromkeys(r["task"] for r in chosen))
    fields = list(dict.fromkeys(r["field"] for r in chosen))
    models = [m for m in COLOURS if any(r["model"] == m for r in chosen)]
    values = {(r["task"], r["field"], r["model"]): r["value"] for r in chosen}
    width = max(3.2, 0.5 + 1.5 * len(fields))
    figure = new_figure(max(7.5, 1 + width * len(tasks)), 4)
    figure.suptitle("Mean squared error on held-out times, normalised (less is better)")
    panels = figure.subplots(1, len(tasks), sharey=True, squeeze=False)[0]
    for axes, task in zip(panels, tasks, strict=True):
        _draw_bars(axes, fields, models, lambda *key, task=task: values.get((task, *key)))
        axes.set_title(TASK_TITLES[task], fontsize=10)
    panels[0].set_ylabel("squared error / variance")
    common_legend(figure, panels, len(models))
    return figure


def _draw_bars(axes, fields: list[str], models: list[str], value) -> None:
    scored = [m for m in models if any(value(field, m) is not None for field in fields)]
    for number, model in enumerate(scored):
        heights = [value(field, model) for field in fields]
        heights = [np.nan if height is None else height for height in heights]
        places = np.arange(len(fields)) + (number - (len(scored) - 1) / 2) * 0.8 / len(models)
        label = words_of(model)
        bars = axes.bar(places, heights, 0.75 / len(models), color=COLOURS[model], label=label)
        texts = ["" if np.isnan(height) else f"{height:.2g}" for height in heights]
        axes.bar_label(bars, texts, fontsize=7, padding=1)
    axes.set_xticks(np.arange(len(fields)), [textwrap.fill(words_of(f), 14) for f in fields])
    axes.margins(y=0.12)
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)


def common_legend(figure, panels, columns: int) -> None:
    """Put one legend below all panels, each label once."""
    unique: dict[str, Artist] = {}
    for axes in panels:
        handles, labels = axes.get_legend_handles_labels()
        unique |= dict(zip(labels, handles, strict=True))
    figure.legend(unique.values(), unique.keys(), loc="outside lower center", ncols=columns)


def new_figure(width: float, height: float):
    """Return an empty figure; width and height are in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _column(rows: list[dict[str, str]], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return steps and values of a column where it is filled."""
    filled = [(int(row["step"]), float(row[name])) for row in rows if row.get(name)]
    steps, values = zip(*filled, strict=True) if filled else ((), ())
    return np.array(steps), np.array(values)


def words_of(model: str) -> str:
    """Return the name of a model or baseline for a legend, or that of a field, in words."""
    return model.replace("_", " ") if model != "ensemble" else "atmorep_k, ensemble mean"


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
