"""Kills a process of a training, again and again, and compares it with one left undisturbed.

    python benchmarks/kill_and_resume.py FILE --kills 20 [--set NAME=VALUE ...] [--output FOLDER]

Each time a run has gone on for a random number of steps, one of its processes (on PyTorch with a
mesh, else the only one) gets `kill -9`; then it is resumed. At the end losses are compared.
"""

import argparse
import csv
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path


def main():
    arguments = parse()
    rng = random.Random(arguments.seed)
    options = [part for value in arguments.set for part in ("--set", value)]
    whole, killed = arguments.output / "whole", arguments.output / "killed"
    call("run", arguments.file, "--output", whole, *options).wait()
    steps = len(losses(whole))
    command = ("run", arguments.file, "--output", killed, *options)
    for number in range(1, arguments.kills + 1):
        process = call(*command)
        began = len(losses(killed))
        target = began + rng.randint(
            0, max(1, 2 * (steps - began) // (arguments.kills - number + 2))
        )
        wait_for(process, killed, target)
        time.sleep(rng.uniform(0, 0.3))
        victim = rng.choice(children(process.pid) or [process.pid])
        os.kill(victim, signal.SIGKILL)
        code = process.wait()
        print(f"kill {number}: at step {len(losses(killed))}, exit code {code}", flush=True)
        command = ("run", "--resume", killed) if (killed / "config.gin").exists() else command
    if call(*command).wait():
        sys.exit("the run could not be resumed")
    one, other = losses(whole), losses(killed)
    worst = max(abs(a - b) / abs(a) for a, b in zip(one, other, strict=True))
    print(f"{len(one)} steps, {arguments.kills} kills: losses differ by at most {worst:.2g}")
    print(arguments.output)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--output", type=Path, default=Path("runs/kill_and_resume"))
    return parser.parse_args()


def call(*arguments) -> subprocess.Popen:
    command = [sys.executable, "-m", "atmorep_k", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def losses(run: Path) -> list[float]:
    try:
        with (run / "history.csv").open(newline="") as file:
            return [float(row["loss"]) for row in csv.DictReader(file) if row["loss"]]
    except FileNotFoundError:
        return []


def wait_for(process, run: Path, step: int) -> None:
    """Waits until a run has written a step, after it has cut what its checkpoint has not seen."""
    deadline = time.monotonic() + 120
    while process.poll() is None and len(losses(run)) <= step and time.monotonic() < deadline:
        time.sleep(0.05)


def children(process: int) -> list[int]:
    path = Path(f"/proc/{process}/task/{process}/children")
    return [int(number) for number in path.read_text().split()] if path.exists() else []


if __name__ == "__main__":
    main()
