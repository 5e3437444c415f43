"""The base of callbacks that copy what a run writes to a service that keeps experiments."""

import abc
import csv
import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path

from atmorep_k.registry import Component
from atmorep_k.runs.callback import RunCallback
from atmorep_k.runs.directory import RunDirectory

_CURVES = ("loss", "val_loss", "learning_rate", "samples_per_second")


class RunLogger(RunCallback, Component):
    """Sends configuration, history.csv and watch.csv as they grow, in the end scores and pictures.

    At each end of an epoch new rows are sent. `run.json` keeps the service's identifier
    of the run and the last step sent: a resumed run continues there, and no row is sent twice. A
    subclass talks to one service.
    """

    def begin(self, run: RunDirectory, config_text: str, start_step: int) -> None:
        """Open the run at the service: a new one, or that which a resumed run had."""
        self._run = run
        known = run.read_record().get(type(self).__name__, {})
        self._sent = known.get("step", 0)
        self._remember(self.open(known.get("id"), run.path, parameters(config_text)))

    def on_epoch_end(self, epoch, logs=None):
        """Send the rows that are new."""
        last = self._sent
        for step, values in [*_history(self._run.history), *_watched(self._run.watch)]:
            if step > self._sent and values:
                self.log(step, values)
                last = max(last, step)
        self._sent = last
        self._remember(self._id)

    def end(self, run: RunDirectory, finished: bool) -> None:
        """Send scores and files of a finished run, and closes it."""
        if finished:
            if scores := _final(run.scores):
                self.log(self._sent, scores)
            files = (run.config, run.record, run.history, run.watch, run.scores)
            self.keep([f for f in files if f.is_file()], sorted(run.path.glob("plots/*.png")))
        self.close(finished)

    def _remember(self, known_as: str) -> None:
        self._id = known_as
        self._run.write_record(**{type(self).__name__: {"id": known_as, "step": self._sent}})

    @abc.abstractmethod
    def open(self, known_as: str | None, path: Path, settings: dict[str, str]) -> str:
        """Open the run at the service and returns as what it is known there.

        Args:
            known_as: what this returned before the run was resumed; None for a new run.
            path: directory of the run.
            settings: the resolved configuration, name -> value.
        """

    @abc.abstractmethod
    def log(self, step: int, values: dict[str, float]) -> None:
        """Send the values of one step."""

    @abc.abstractmethod
    def keep(self, files: list[Path], pictures: list[Path]) -> None:
        """Send files and pictures."""

    @abc.abstractmethod
    def close(self, finished: bool) -> None:
        """Closes the run at the service."""


def parameters(config_text: str) -> dict[str, str]:
    """Return name -> value, as written, of a resolved configuration."""
    found: dict[str, str] = {}
    for line in config_text.splitlines():
        name, equals, value = line.partition(" = ")
        if line[:1].strip() and equals:
            found[name] = value
        elif line.strip() and found:  # a long value goes on in lines that are indented
            found[list(found)[-1]] += f" {line.strip()}"
    return found


def _history(path: Path) -> Iterator[tuple[int, dict[str, float]]]:
    for row in _rows(path):
        yield int(row["step"]), {name: float(row[name]) for name in _CURVES if row[name]}


def _watched(path: Path) -> Iterator[tuple[int, dict[str, float]]]:
    by_step: dict[int, dict[str, float]] = {}
    for row in _rows(path):
        if row["value"]:
            by_step.setdefault(int(row["step"]), {})[_name(row)] = float(row["value"])
    yield from by_step.items()


def _rows(path: Path) -> Iterable[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _name(record: dict) -> str:
    """Return `forecast/temperature/crps`, for one level `forecast/temperature/500/crps`."""
    level = [] if record["level"] == "all" else [str(record["level"])]
    model = [] if record["model"] == "ensemble" else [record["model"]]
    return "/".join([record["task"], record["field"], *level, record["metric"], *model])


def _final(path: Path) -> dict[str, float]:
    """Return the scores of the finished model over all lead times."""
    records = json.loads(path.read_text()) if path.is_file() else []
    return {
        f"final/{_name(r)}": r["value"]
        for r in records
        if "lead_time_hours" not in r and r["value"] is not None and math.isfinite(r["value"])
    }
