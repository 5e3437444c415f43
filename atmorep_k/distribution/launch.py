"""Starting the processes of a training on one machine, and ending them together.

`torchrun` is not used for this: of a process that failed it shows its own traceback, it has killed
the others 30 seconds after a batch system's SIGTERM, and it returns 1 whatever a process returned.
"""

import contextlib
import math
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from atmorep_k.distribution.processes import Processes
from atmorep_k.errors import Interrupted, UserError

BROKEN = "the connection to another process of this training broke; its own message says why."

# Descriptor of a pipe that ends with the launcher, and a folder for messages.
_LAUNCHER = "ATMOREP_K_LAUNCHER"
_PATIENCE = 5.0  # seconds for the others to end by themselves when one has failed


def launched(bindings: Mapping[str, Any], arguments: Sequence[str] | None = None) -> bool:
    """Starts the processes that PyTorch needs for a mesh, and returns when all have ended.

    Does nothing where one suffices, or where this is one of several already.

    Args:
        bindings: of a `Configuration`.
        arguments: of the command line that each process carries out; None: those of this one.

    Returns:
        Whether they were started: then the command has been carried out.

    Raises:
        UserError: with the message of the process that failed first.
        SystemExit: with the code of `Interrupted` where the processes saved their state and ended.
    """
    if _LAUNCHER in os.environ:
        _follow_the_launcher()
        return False
    import keras

    if keras.backend.backend() != "torch" or Processes.from_environment() != Processes():
        return False
    number = _number(bindings)
    if number > 1:
        # -P: the folder one is in may hide libraries.
        command = [sys.executable, "-P", "-m", "atmorep_k"]
        launch(number, [*command, *(sys.argv[1:] if arguments is None else arguments)])
    return number > 1


def _number(bindings) -> int:
    """Returns how many processes a mesh needs: one for each device."""
    from atmorep_k.distribution.devices import mesh_shape

    shape = mesh_shape(bindings)
    known = math.prod(max(length, 1) for length in shape)
    if -1 in shape:
        import torch

        return torch.cuda.device_count() // known * known or known
    return known


def launch(number: int, command: Sequence[str]) -> None:
    """Runs a command in several processes, which their environment tells who they are.

    The first has this one's output; what others say is shown only where they fail.

    Args:
        number: of processes.
        command: with its arguments.

    Raises:
        UserError: with the message of the process that failed first.
        SystemExit: with the code of `Interrupted`, as in `launched`.
    """
    with tempfile.TemporaryDirectory(prefix="atmorep-k-") as folder:
        with _started(number, command, Path(folder)) as processes, _handed_on(processes):
            failed = _wait(processes)
        if failed:
            raise UserError(_message(Path(folder), failed))
        codes = {process.returncode for process in processes}
        for code in (Interrupted.BY_USER, Interrupted.BY_SYSTEM):
            if code in codes:
                raise SystemExit(code)


@contextlib.contextmanager
def _started(number, command, folder) -> Iterator[list[subprocess.Popen]]:
    alive, keep = os.pipe()
    processes: list[subprocess.Popen] = []
    environment = {**os.environ, **_common(number), _LAUNCHER: f"{alive}:{folder}"}
    try:
        for place in range(number):
            own = {"RANK": str(place), "LOCAL_RANK": str(place)}
            with (folder / f"{place}.stderr").open("wb") as errors:
                output = {"stdout": subprocess.DEVNULL, "stderr": errors} if place else {}
                process = subprocess.Popen(
                    command, env=environment | own, pass_fds=(alive,), **output
                )
            processes.append(process)
        yield processes
    finally:
        _kill(processes)
        os.close(keep)
        os.close(alive)


def _common(number: int) -> dict[str, str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    threads = max(1, (os.cpu_count() or 1) // number)
    return {
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(threads)),
        "WORLD_SIZE": str(number),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }


@contextlib.contextmanager
def _handed_on(processes) -> Iterator[None]:
    """Forward SIGTERM to the processes; Ctrl-C reaches them from the terminal."""

    def hand_on(number: int, frame: FrameType | None) -> None:
        for process in processes:
            process.terminate()

    before = {
        signal.SIGTERM: signal.signal(signal.SIGTERM, hand_on),
        signal.SIGINT: signal.signal(signal.SIGINT, signal.SIG_IGN),
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait(processes) -> dict[int, int]:
    """Waits until all have ended; returns the codes of those that failed, the first one first."""
    failed: dict[int, int] = {}
    deadline = float("inf")
    while True:
        running = [p.poll() for p in processes].count(None)
        for number, process in enumerate(processes):
            if process.returncode not in (None, 0, Interrupted.BY_SYSTEM, Interrupted.BY_USER):
                failed.setdefault(number, process.returncode)
        if failed:
            # The others fail after the first, and may have the message that explains why.
            deadline = min(deadline, time.monotonic() + _PATIENCE)
        if not running or time.monotonic() > deadline:
            return failed
        time.sleep(0.05)


def _kill(processes) -> None:
    for process in processes:
        if process.poll() is None:
            process.kill()
            process.wait()


def _message(folder: Path, failed: dict[int, int]) -> str:
    """Returns the sentence of a process that did not merely lose another one."""
    reports = sorted(folder.glob("*.message"), key=lambda p: p.stat().st_mtime_ns)
    if found := [s for s in map(Path.read_text, reports) if s != BROKEN]:
        return found[0]
    silent = [n for n in failed if not (folder / f"{n}.message").exists()]
    if not silent:
        return BROKEN
    number, code = silent[0], failed[silent[0]]
    if code == -signal.SIGKILL:
        return f"process {number} was killed (signal 9); a common reason is that memory ran out."
    if number:
        sys.stderr.write((folder / f"{number}.stderr").read_text(errors="replace"))
    ended = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
    return f"process {number} {ended}; its last output is above."


def report_failure(sentence: str) -> bool:
    """Leaves the message of this process to its launcher; returns whether there is one."""
    if _LAUNCHER not in os.environ:
        return False
    folder = os.environ[_LAUNCHER].partition(":")[2]
    Path(folder, f"{os.environ['RANK']}.message").write_text(sentence)
    return True


def _follow_the_launcher() -> None:
    """End this process when its launcher is killed, which can then no longer end it.

    The launcher holds the other end of a pipe and never writes: a read returns when it is gone.
    """
    descriptor = int(os.environ[_LAUNCHER].partition(":")[0])

    def watch() -> None:
        os.read(descriptor, 1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
