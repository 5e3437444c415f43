"""Ctrl-C as a user presses it: real signals, sent to `atmorep-k run` in a process of its own."""

import csv
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from atmorep_k.distribution import Engine
from atmorep_k.runs.directory import RunDirectory
from atmorep_k.training.interruption import Interruption

# A process that a shell has started in the background ignores SIGINT, as do those that it starts.
START = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
RUN = START + "from atmorep_k.cli import main; main()"
PATIENCE = 300  # seconds


class Training:
    """`atmorep-k run` of a configuration in a process of its own."""

    def __init__(self, folder: Path, config: str, code: str = RUN):
        (folder / "top.gin").write_text(config)
        self.run = RunDirectory(folder / "the run")
        self._errors = folder / "errors"
        command = [sys.executable, "-P", "-c", code, "run", folder / "top.gin"]
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [*command, "--output", self.run.path], stdout=subprocess.DEVNULL, stderr=errors
            )

    @property
    def errors(self) -> str:
        """What it has written to stderr."""
        return self._errors.read_text()

    def wait_for(self, happened) -> None:
        """Wait until something has happened in the process, which runs on."""
        deadline = time.monotonic() + PATIENCE
        while not happened():
            assert self.process.poll() is None, self.errors
            assert time.monotonic() < deadline, self.errors
            time.sleep(0.05)

    def press_ctrl_c(self) -> None:
        """Send what the terminal sends."""
        self.process.send_signal(signal.SIGINT)

    def steps(self) -> list[int]:
        """Return the steps in its history."""
        if not self.run.history.exists():
            return []
        with self.run.history.open() as file:
            return [int(row["step"]) for row in csv.DictReader(file)]


@pytest.fixture
def start(tmp_path):
    """Function (configuration, code) -> a `Training`, which ends with the test."""
    started = []

    def starts(config, code=RUN):
        started.append(Training(tmp_path, config, code))
        return started[-1]

    yield starts
    for training in started:
        training.process.kill()
        training.process.wait()


@pytest.mark.backend
@pytest.mark.slow
def test_ctrl_c_stops_a_training_after_its_step(start, tiny_config):
    training = start(tiny_config({"TrainingSchedule.steps_per_epoch": 10**4}, steps=10**6))
    training.wait_for(lambda: len(training.steps()) > 3)
    training.press_ctrl_c()
    assert training.process.wait(PATIENCE) == 130
    last = training.steps()[-1]
    assert training.run.latest_checkpoint().step == last
    assert "stopping after this step; press Ctrl-C again to stop at once" in training.errors
    assert (
        f"Interrupted: stopped by Ctrl-C after step {last}, which is saved. "
        f"Resume it with  atmorep-k run --resume '{training.run.path}'\n"
    ) in training.errors
    assert "Traceback" not in training.errors


@pytest.mark.backend
@pytest.mark.slow
def test_ctrl_c_stops_what_follows_the_steps(start, tiny_config):
    # Scoring this many windows takes minutes.
    config = tiny_config({"Scoring.num_samples": 10**5, "Scoring.batch_size": 1}, steps=3)
    training = start(config)
    training.wait_for(lambda: (training.run.path / "plots" / "loss.png").exists())
    time.sleep(1)
    training.press_ctrl_c()
    assert training.process.wait(PATIENCE) == 130
    assert training.run.model.exists()
    assert not training.run.scores.exists()
    assert "Interrupted: stopped by Ctrl-C. Resume it with  atmorep-k run " in training.errors
    assert "Traceback" not in training.errors


# The main thread waits where no Python handler is called, as in a compiler.
BUSY = (
    START
    + """
import ctypes
from atmorep_k.distribution import Engine
from atmorep_k.training.interruption import Interruption

c, mutex = ctypes.CDLL(None), ctypes.create_string_buffer(128)
c.pthread_mutex_init(mutex, None)
with Interruption(Engine()).listening():
    open("listening", "w").close()
    c.pthread_mutex_lock(mutex)
    c.pthread_mutex_lock(mutex)
"""
)


@pytest.mark.slow
def test_a_second_ctrl_c_ends_whatever_the_process_does(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", BUSY], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    try:
        while not (tmp_path / "listening").exists():
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.stderr.readline().startswith("stopping after this step; press Ctrl-C again")
        process.send_signal(signal.SIGINT)  # the same press, passed on by a launcher
        time.sleep(0.5)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr.read() == "\nInterrupted.\n"
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def handled():
    """SIGINT raises KeyboardInterrupt, whatever pytest runs in."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_signal_after_the_last_step_is_not_lost(handled):
    interruption = Interruption(Engine())
    with pytest.raises(KeyboardInterrupt), interruption.listening():
        signal.raise_signal(signal.SIGINT)
        assert interruption.asked()


def test_a_second_ctrl_c_in_a_notebook_leaves_its_kernel(handled, monkeypatch):
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    with pytest.raises(KeyboardInterrupt), Interruption(Engine()).listening():
        signal.raise_signal(signal.SIGINT)
        time.sleep(0.5)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_what_runs_in_the_background_ignores_ctrl_c(handled):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    interruption = Interruption(Engine())
    with interruption.listening():
        signal.raise_signal(signal.SIGINT)
        assert not interruption.asked()
