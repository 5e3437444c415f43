"""Where the time of training steps goes, measured by the backend's own profiler."""

import dataclasses
import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

import keras
import numpy as np

from atmorep_k.console import new_table, print_table
from atmorep_k.errors import UserError
from atmorep_k.files import write_whole
from atmorep_k.training.callbacks import StepCallback
from atmorep_k.training.schedule import TrainingSchedule


@dataclasses.dataclass(frozen=True)
class TimeShares:
    """What a step's time was spent on; the shares add up to 1.

    Args:
        seconds: of a step.
        loader: share of waiting for the next batch.
        device: share in which the device computes.
        communication: share in which devices exchange values and nothing is computed.
        host: share of the rest: Python, dispatch, callbacks.
        traces: how often the model was called by Python to be compiled again; None where nothing
            is compiled.
        batch_bytes: bytes of a batch that are handed to the device.
    """

    seconds: float
    loader: float
    device: float
    communication: float
    host: float
    traces: int | None
    batch_bytes: int

    def table(self):
        """Return a table of the parts."""
        made = new_table("", ("part",), ("ms/step", "share"))
        for part in ("loader", "host", "device", "communication"):
            share = getattr(self, part)
            made.add_row(part, f"{1e3 * self.seconds * share:.2f}", f"{share:.3f}")
        return made

    def sentence(self) -> str:
        """Return what else is to be known."""
        calls = "runs uncompiled" if self.traces is None else f"retraced {self.traces} times"
        return f"{calls}, {self.batch_bytes:,} bytes to the device per step"


class Profile(StepCallback):
    """Writes a trace of some steps of one epoch, and a table of what their time was spent on.

    The first step, which is compiled, is left out. It comes last in the list of callbacks, so that
    a step has ended when it is called. Batches are handed to `fit` through `watch`.

    Args:
        folder: where to write.
        steps: how many steps.
    """

    def __init__(self, folder: Path, steps: int):
        super().__init__()
        self.folder = Path(folder)
        self.steps = steps
        self.shares: TimeShares | None = None
        self._tracer = _tracer()
        self._tracing_since: float | None = None
        self._seen = self._calls = self._bytes = 0
        self._waited = 0.0

    def watch(self, batches: Iterable) -> Iterator:
        """Passes batches on and measures how long they are waited for and how large they are."""
        batches = iter(batches)
        while True:
            asked = time.perf_counter()
            try:
                batch = next(batches)
            except StopIteration:
                return
            self._waited += time.perf_counter() - asked
            self._bytes = sum(np.asarray(a).nbytes for a in keras.tree.flatten(batch))
            yield batch

    def on_train_batch_end(self, batch, logs=None):
        """Begins after a first step where an epoch has steps enough left; ends after the last."""
        super().on_train_batch_end(batch)
        if self._tracing_since is not None:
            self._seen += self.done
            if self._seen >= self.steps:
                self._end()
        elif self.shares is None and batch + self.steps < self.params["steps"]:
            self._begin()

    def _begin(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        self._count_calls()
        self._tracer.start(self.folder)
        self._waited, self._tracing_since = 0.0, time.perf_counter()

    def _end(self):
        assert self._tracing_since is not None
        seconds = time.perf_counter() - self._tracing_since
        waited, self._tracing_since = self._waited, None
        del self.model.call
        computing, exchanging = self._tracer.stop(self.folder)
        self.shares = _shares(seconds, waited, computing, exchanging, self._seen)
        compiled = keras.backend.backend() != "torch"
        self.shares = dataclasses.replace(
            self.shares,
            traces=self._calls if compiled else None,
            batch_bytes=self._bytes,  # of any, as shapes never change
        )
        text = json.dumps(dataclasses.asdict(self.shares), indent=2) + "\n"
        write_whole(self.folder / "shares.json", lambda path: path.write_text(text))

    def _count_calls(self):
        # A compiled step calls the model only while it is traced.
        original = self.model.call

        def counted(*arguments, **named):
            self._calls += 1
            return original(*arguments, **named)

        self.model.call = counted

    def report(self) -> None:
        """Print the table and where the trace is."""
        import click

        if self.shares is None:
            click.echo("nothing was profiled: no epoch had that many steps left", err=True)
            return
        print_table(self.shares.table(), stderr=True)
        click.echo(f"{self._seen} steps: {self.shares.sentence()}", err=True)
        click.echo(f"{self._tracer.viewer}: {self.folder}", err=True)


def check_profile(steps: int, schedule: TrainingSchedule) -> None:
    """Check that a training has an epoch with that many steps after its first.

    Raises:
        UserError: if no epoch is that long.
    """
    longest = min(schedule.steps, schedule.steps_per_epoch) - 1
    if not 1 <= steps <= longest:
        raise UserError(
            f"--profile takes 1 to {longest} steps, those of an epoch after its first (STEPS = "
            f"{schedule.steps}, TrainingSchedule.steps_per_epoch = {schedule.steps_per_epoch}), "
            f"not {steps}."
        )


class _Tracer(Protocol):
    viewer: str  # what opens the trace

    def start(self, folder: Path) -> None:
        """Begin the trace."""

    def stop(self, folder: Path) -> tuple[float, float]:
        """Write the trace; return the seconds of computing and of exchanging alone."""


def _tracer() -> _Tracer:
    """Return the profiler of the backend in use."""
    if keras.backend.backend() == "torch":
        from atmorep_k.training.profiling import torch_trace

        return torch_trace.TorchTracer()
    from atmorep_k.training.profiling import xplane_trace

    return xplane_trace.XplaneTracer()


def _shares(
    seconds: float, waited: float, computing: float, exchanging: float, steps: int
) -> TimeShares:
    waited = min(waited, seconds)
    # The device may still compute what was asked for before while the host waits for a batch.
    device = min(computing, seconds - waited)
    communication = min(exchanging, seconds - waited - device)
    host = seconds - waited - device - communication
    return TimeShares(
        seconds=seconds / steps,
        loader=waited / seconds,
        device=device / seconds,
        communication=communication / seconds,
        host=host / seconds,
        traces=None,
        batch_bytes=0,
    )
