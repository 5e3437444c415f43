"""Weak scaling over processes of this machine: twice the processes, twice the batch.

    python benchmarks/scaling.py [--backends jax torch] [--processes 2] [--steps 12] [--rounds 3]

Each process is pinned to a processor of its own. One process trains with --rows samples in a batch,
then N processes with N times as many, through `atmorep-k run`, in turns. Prints samples per second
(medians over the steps after the first two, and over rounds) and what N reach of N times one.
"""

import argparse
import csv
import os
import socket
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

MAIN = "from atmorep_k.cli import main; main()"
ROOT = Path(__file__).parents[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backends", nargs="+", default=["jax", "torch"])
    parser.add_argument("--config", default="gin/pretrain_field.gin")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--rows", type=int, default=8, help="samples of a process")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print(f"{'backend':<12}{'1 process':>12}{arguments.processes:>4} processes{'of ideal':>10}")
    for backend in arguments.backends:
        one, several = [], []
        for _ in range(arguments.rounds):
            one.append(rate(backend, 1, arguments))
            several.append(rate(backend, arguments.processes, arguments))
        ratios = [b / a / arguments.processes for a, b in zip(one, several, strict=True)]
        first, second = statistics.median(one), statistics.median(several)
        print(f"{backend:<12}{first:>12.2f}{second:>14.2f}{statistics.median(ratios):>10.2f}")


def rate(backend: str, number: int, arguments) -> float:
    """Returns the samples per second of a training by so many processes."""
    with tempfile.TemporaryDirectory() as folder:
        run, port = Path(folder) / "run", _free_port()
        processes = [
            subprocess.Popen(
                _command(rank, number, run, arguments),
                cwd=ROOT,
                env=_environment(backend, rank, number, port),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            for rank in range(number)
        ]
        errors = [process.communicate()[1] for process in processes]
        if any(process.returncode for process in processes):
            sys.exit(max(errors, key=len)[-2000:])
        return _samples_per_second(run / "history.csv")


def _command(rank, number, run, arguments) -> list[str]:
    settings = {
        "MESH": f"({number}, 1)",
        "BATCH_SIZE": number * arguments.rows,
        "STEPS": arguments.steps,
        "TrainingSchedule.steps_per_epoch": arguments.steps,
        "TrainingSchedule.checkpoint_every": 10 * arguments.steps,
        "TrainingSchedule.validation_batches": 0,
        "Pretraining.scoring": None,
        "WindowDataset.threads": 1,
    }
    sets = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
    files = [arguments.config, "gin/train/single.gin"]
    pinned = ["taskset", "-c", str(rank), sys.executable, "-c", MAIN]
    return [*pinned, "run", *files, *sets, "--output", str(run)]


def _environment(backend, rank, number, port) -> dict[str, str]:
    environment = {**os.environ, "KERAS_BACKEND": backend, "OMP_NUM_THREADS": "1"}
    if number > 1:
        environment |= {"RANK": str(rank), "WORLD_SIZE": str(number), "LOCAL_RANK": str(rank)}
        environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return environment


def _samples_per_second(history: Path) -> float:
    with history.open() as file:
        rows = [float(row["samples_per_second"]) for row in csv.DictReader(file)]
    return statistics.median(rows[2:])


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


if __name__ == "__main__":
    main()
