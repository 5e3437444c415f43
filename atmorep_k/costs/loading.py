"""`atmorep-k bench-data`: whether the data of a training keep up with its steps."""

import itertools
import os
import resource
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from atmorep_k.errors import UserError

if TYPE_CHECKING:
    from atmorep_k.training.pretraining import Pretraining

# Share of a step's time that may be spent waiting for its batch before that is worth a word.
_WAIT = 0.05
_WARM_UP = 3
# More batches than a loader makes ahead of time.
_MOST_WAITING = 16


def measure(task: Any, steps: int) -> dict[str, Any]:
    """Return how fast batches are made, alone and in a training; nothing is written.

    Args:
        task: a training that is not yet prepared; its model is trained for some steps.
        steps: batches to take, each time.

    Raises:
        UserError: if the task trains nothing, or data and model do not fit.
    """
    if not hasattr(task, "prepare"):
        raise UserError(f"bench-data measures a training, not {type(task).__name__}.")
    task.prepare()
    alone = _loader(task, steps)
    found = alone | _training(task, steps) | {"peak_memory_mib": _peak_memory()}
    return found | {"limit": limit(found)}


def limit(found: dict[str, Any]) -> str:
    """Return what a training is limited by.

    Args:
        found: what was measured.

    Returns:
        `"step"`; `"loader"`, where batches come more slowly than steps alone would take them; or
        `"processors"`, where they would come fast enough, if the step left them the time.
    """
    if found["wait_share"] <= _WAIT:
        return "step"
    busy = (found["step_ms"] - found["wait_ms"]) / 1000
    wanted = found["batch_size"] / busy if busy else float("inf")
    return "loader" if found["samples_per_second"] < wanted else "processors"


def _loader(task: "Pretraining", steps: int) -> dict[str, float]:
    """Takes batches as fast as they come, from when those that waited have been taken."""
    waiting = _MOST_WAITING
    batches = task.batches().read(0, waiting + steps)
    for _ in itertools.islice(batches, waiting):
        pass
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in batches:
        pass
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    samples = steps * task.schedule.batch_size
    points = sum(len(f.levels) * f.tokens_per_level * f.token_values for f in task.model.fields)
    return {
        "batch_size": task.schedule.batch_size,
        "samples_per_second": samples / wall,
        "megabytes_per_second": 4e-6 * points * samples / wall,
        "cpu_ms_per_sample": 1000 * cpu / samples,
        "cpu_share": cpu / wall / (os.cpu_count() or 1),
    }


def _timed(batches: Iterator, waits: list[float]) -> Iterator:
    """Yield batches, and note how long each was waited for, in seconds."""
    while True:
        begun = time.perf_counter()
        batch = next(batches, None)
        waits.append(time.perf_counter() - begun)
        if batch is None:
            return
        yield batch


def _training(task: "Pretraining", steps: int) -> dict[str, float]:
    """Train some steps, the first of which compile the model and are not counted."""
    _fit(task, 0, _WARM_UP)
    seconds, waited = _fit(task, _WARM_UP, steps)
    return {
        "step_ms": 1000 * seconds / steps,
        "wait_ms": 1000 * waited / steps,
        "wait_share": waited / seconds,
        "training_samples_per_second": task.schedule.batch_size * steps / seconds,
    }


def _fit(task: "Pretraining", start: int, steps: int) -> tuple[float, float]:
    """Train, and return the seconds that it took, and those spent waiting for batches."""
    waits: list[float] = []
    begun = time.perf_counter()
    batches = _timed(task.batches().read(start, start + steps), waits)
    task.model.fit(batches, steps_per_epoch=steps, epochs=1, shuffle=False, verbose=0)
    return time.perf_counter() - begun, sum(waits)


def _peak_memory() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def loading_text(found: dict[str, Any]) -> str:
    """Return what `measure` found, as lines to read."""
    verdict = {
        "loader": "the loader is the limit: store the data as int16, take more threads or windows "
        "from slabs (SlabDataset)",
        "processors": "loader and step share the processors, which are the limit: alone, either is "
        "faster",
        "step": "the step is the limit: the data keep up",
    }
    return "\n".join(
        [
            f"batches alone  {found['samples_per_second']:.1f} samples/s, "
            f"{found['megabytes_per_second']:.0f} MB/s of values (float32)",
            f"processors     {found['cpu_ms_per_sample']:.1f} ms per sample, "
            f"{found['cpu_share']:.0%} of all",
            f"training       {found['training_samples_per_second']:.1f} samples/s, a step of "
            f"{found['batch_size']} samples takes {found['step_ms']:.1f} ms",
            f"waiting        {found['wait_ms']:.1f} ms of each step ({found['wait_share']:.0%})",
            f"memory         {found['peak_memory_mib']:.0f} MiB at most, including the model",
            verdict[found["limit"]],
        ]
    )
