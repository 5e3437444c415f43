"""Scores of held-out windows between the steps of a training."""

import csv
from collections.abc import Sequence
from typing import Any

from atmorep_k.distribution import Engine
from atmorep_k.protocols import Model
from atmorep_k.runs.directory import WATCH_COLUMNS, RunDirectory
from atmorep_k.training.callbacks import StepCallback
from atmorep_k.training.watch.watch import METRICS
from atmorep_k.training.watch.windows import WatchedWindows


class Watching(StepCallback):
    """Append rows to watch.csv every n steps, and log scores at the end of an epoch.

    It comes before `Checkpointing` in the list of callbacks: the scores of a step are written
    before its checkpoint. Predicting leaves no trace in the training.

    Args:
        run: where to write.
        windows: of each task.
        every: steps between scores.
        start_step: steps done before, in a resumed run.
        engine: of the training; all processes predict, the main one writes.
    """

    def __init__(
        self,
        run: RunDirectory,
        windows: Sequence[WatchedWindows],
        every: int,
        start_step: int,
        engine: Engine,
    ):
        super().__init__(start_step)
        self.run = run
        self.windows = windows
        self.every = every
        self.engine = engine
        self.scores: dict[str, float] = {}
        self._with_baselines = start_step < every
        self._predict: dict[str, Any] = {}

    def on_train_batch_end(self, batch, logs=None):
        """Predict and score every n steps."""
        super().on_train_batch_end(batch)
        self.scores = {}
        if self.step // self.every == (self.step - self.done) // self.every:
            return
        model = self.model  # copies into its variables what JAX's steps hold apart
        records = [r for windows in self.windows for r in self._records(model, windows)]
        self._with_baselines = False
        self.scores = {
            f"{r['task']}.{r['field']}.{r['metric']}": r["value"]
            for r in records
            if r["level"] == "all" and r["model"] == "ensemble" and r["metric"] in METRICS
        }
        if self.engine.is_main:
            self._write(records)

    def _records(self, model: Model, windows: WatchedWindows) -> list[dict]:
        if windows.task not in self._predict:
            self._predict[windows.task] = self.engine.predictor(model)
        return list(windows.records(self._predict[windows.task], self._with_baselines))

    def _write(self, records: list[dict]) -> None:
        with self.run.watch.open("a", newline="") as file:
            rows = csv.DictWriter(file, WATCH_COLUMNS)
            rows.writerows({"step": self.step, **record} for record in records)

    def on_epoch_end(self, epoch, logs=None):
        """Add the scores of an epoch's last step to its logs, by which a state can be the best."""
        if logs is not None:
            logs.update({k: v for k, v in self.scores.items() if v is not None})
