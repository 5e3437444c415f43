"""The directory of one run: what is in it, and how it is found again."""

import csv
import itertools
import json
import os
import platform
import shutil
import statistics
import sys
import time
from pathlib import Path

from atmorep_k.errors import UserError
from atmorep_k.files import check_place, write_whole
from atmorep_k.runs.checkpoints import Checkpoint, checkpoints

HISTORY_COLUMNS = (
    "step",
    "epoch",
    "loss",
    "val_loss",
    "learning_rate",
    "samples_per_second",
    "seconds",
)

WATCH_COLUMNS = ("step", "task", "field", "level", "metric", "model", "value", "units")


class RunDirectory:
    """A run's files: configuration, record, history, checkpoints, model, scores, plots.

    Args:
        path: the directory; made by `create`.
    """

    def __init__(self, path: Path):
        self.path = Path(path)
        self.config = self.path / "config.gin"
        self.record = self.path / "run.json"
        self.history = self.path / "history.csv"
        self.watch = self.path / "watch.csv"
        self.checkpoints = self.path / "checkpoints"
        self.model = self.path / "model.keras"
        self.scores = self.path / "scores.json"

    def check_new(self) -> None:
        """Check that a new run can be written here.

        Raises:
            UserError: if the directory is not empty, or cannot be written.
        """
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            raise UserError(
                f"{self.path} already exists: choose another --output, or resume that run with "
                f"--resume {self.path}."
            )
        check_place(self.config)

    def check_resumable(self) -> None:
        """Check that there is a run to resume, on the backend that it was trained on.

        Raises:
            UserError: if the directory is not a run, or Keras runs on another backend.
        """
        if not self.config.is_file():
            raise UserError(f"{self.path} is not a run: it has no config.gin.")
        if self.latest_checkpoint():
            import keras

            backend = json.loads(self.record.read_text())["versions"]["backend"]
            if backend != keras.backend.backend():
                raise UserError(
                    f"{self.path} was trained on {backend}, but Keras runs on "
                    f"{keras.backend.backend()}: resume it with KERAS_BACKEND={backend}."
                )

    def create(self, config_text: str) -> None:
        """Make the directory and writes the resolved configuration into it."""
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        write_whole(self.config, lambda path: path.write_text(config_text))
        _write_rows(self.history, HISTORY_COLUMNS, ())

    def remove(self) -> None:
        """Remove a run that never came to anything."""
        shutil.rmtree(self.path, ignore_errors=True)

    def read_record(self) -> dict:
        """Return the contents of run.json; empty if the file is missing."""
        return json.loads(self.record.read_text()) if self.record.is_file() else {}

    def write_record(self, **entries) -> None:
        """Add entries to run.json."""
        text = json.dumps(self.read_record() | entries, indent=2, default=str) + "\n"
        write_whole(self.record, lambda path: path.write_text(text))

    @property
    def training_seconds(self) -> float:
        """The time that the training took, from its record."""
        return json.loads(self.record.read_text())["timings"]["training_seconds"]

    @property
    def step_seconds(self) -> float:
        """The median time of a training step, from its history."""
        with self.history.open() as file:
            times = [float(row["seconds"]) for row in csv.DictReader(file)]
        return statistics.median(b - a for a, b in itertools.pairwise([0.0, *times]))

    def latest_checkpoint(self) -> Checkpoint | None:
        """Return the last checkpoint, or None."""
        found = checkpoints(self.checkpoints)
        return found[-1] if found else None

    def cut_history(self, step: int) -> float:
        """Drop rows after `step`, which a resumed run writes again; return the seconds so far."""
        rows = _rows_until(self.history, step)
        _write_rows(self.history, HISTORY_COLUMNS, rows)
        return float(rows[-1]["seconds"]) if rows else 0.0

    def cut_watch(self, step: int) -> None:
        """Make the file of watched scores, or drops its rows after `step`."""
        rows = _rows_until(self.watch, step) if self.watch.is_file() else ()
        _write_rows(self.watch, WATCH_COLUMNS, rows)


def _rows_until(path: Path, step: int) -> list[dict[str, str]]:
    """Return the rows up to a step; one that a killed process left half written is none."""
    with path.open(newline="") as file:
        return [
            r for r in csv.DictReader(file) if None not in r.values() and int(r["step"]) <= step
        ]


def _write_rows(path: Path, columns, rows) -> None:
    def write(partial):
        with partial.open("w", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)

    write_whole(path, write)


def environment() -> dict:
    """Return what a run records of the machine and the call."""
    return {
        "command": " ".join(sys.argv),
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
    }
