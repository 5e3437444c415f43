"""Where a run stands: steps, losses, rate, checkpoints."""

import csv
import json
import statistics
import time
from pathlib import Path
from typing import Any

import click

from atmorep_k.errors import UserError
from atmorep_k.runs.checkpoints import checkpoints
from atmorep_k.runs.directory import RunDirectory


def is_run(path: Path) -> bool:
    """Return whether a path is the directory of a run."""
    return RunDirectory(path).config.is_file()


def describe_run(path: Path) -> dict[str, Any]:
    """Return what the files of a run tell, finished or not.

    Raises:
        UserError: if one of them cannot be read.
    """
    run = RunDirectory(path)
    try:
        record = dict(json.loads(run.record.read_text()))
        with run.history.open(newline="") as file:
            history = _of_history(list(csv.DictReader(file)))
        written = run.history.stat().st_mtime
    except KeyError as error:
        raise UserError(
            f"{path} is not a complete run: {run.history} lacks the column {error}."
        ) from error
    except (OSError, TypeError, ValueError) as error:
        raise UserError(f"{path} is not a complete run: {error}.") from error
    return {
        "path": str(run.path),
        "finished": run.model.is_file(),
        "steps": record.get("steps"),
        "mesh": record.get("mesh"),
        "processes": record.get("processes"),
        "bytes_per_device": record.get("bytes_per_device"),
        "seconds_since_last_step": round(max(0.0, time.time() - written), 1),
        **history,
        "checkpoints": [
            {"step": c.step, "path": str(c.path), "bytes": c.bytes, "scores": c.scores}
            for c in checkpoints(run.checkpoints)
        ],
    }


def _of_history(rows: list[dict[str, str]]) -> dict[str, Any]:
    if not rows:
        return {"step": 0}
    last, validated = rows[-1], [row for row in rows if row["val_loss"]]
    held_out = validated[-1] if validated else None
    return {
        "step": int(last["step"]),
        "loss": float(last["loss"]),
        "val_loss": float(held_out["val_loss"]) if held_out else None,
        "val_loss_step": int(held_out["step"]) if held_out else None,
        "training_seconds": float(last["seconds"]),
        "samples_per_second": statistics.median(float(row["samples_per_second"]) for row in rows),
    }


def print_run(told: dict[str, Any]) -> None:
    """Print what `describe_run` tells."""
    of = f" of {told['steps']}" if told["steps"] else ""
    click.echo(f"run          {told['path']}: step {told['step']}{of}, {_how(told)}")
    if told["step"]:
        held_out = ""
        if told["val_loss"] is not None:
            held_out = f", held-out {told['val_loss']:.4g} (step {told['val_loss_step']})"
        click.echo(f"loss         {told['loss']:.4g}{held_out}")
        click.echo(
            f"rate         {told['samples_per_second']:.3g} samples/s (median), "
            f"{told['training_seconds']:.0f} s in all"
        )
    if told["mesh"]:
        many = "es" if told["processes"] > 1 else ""
        click.echo(f"mesh         {tuple(told['mesh'])}, {told['processes']} process{many}")
    if told["bytes_per_device"]:
        held = {name: size / 1e6 for name, size in told["bytes_per_device"].items()}
        click.echo(
            f"per device   weights {held['weights']:.3g} MB, optimiser {held['optimizer']:.3g} MB"
        )
    for checkpoint in told["checkpoints"]:
        scores = "".join(f", {name} {value:.4g}" for name, value in checkpoint["scores"].items())
        click.echo(
            f"checkpoint   {checkpoint['path']} ({checkpoint['bytes'] / 1e6:.1f} MB{scores})"
        )


def _how(told: dict[str, Any]) -> str:
    if told["finished"]:
        return "finished"
    since = f"last written {told['seconds_since_last_step']:.0f} s ago"
    return f"{since}; if it has stopped:  atmorep-k run --resume {told['path']}"
