"""Processes of a training start together and end together, with one message."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import keras
import pytest

from atmorep_k.distribution.launch import BROKEN, launch, launched
from atmorep_k.errors import UserError

if keras.backend.backend() != "torch":
    pytest.skip("of the PyTorch backend", allow_module_level=True)

REPORT = (
    "from atmorep_k.distribution.launch import report_failure as report; "
    "import os, sys, time, signal; "
)


@pytest.fixture
def alone(monkeypatch):
    """The environment of a process that is one of several to nobody."""
    for name in ("RANK", "WORLD_SIZE", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS"):
        monkeypatch.delenv(name, raising=False)


def python(*statements):
    return [sys.executable, "-P", "-c", REPORT + "; ".join(statements)]


def test_each_process_knows_who_it_is(tmp_path):
    names = "('RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT')"
    what = f"' '.join(os.environ[n] for n in {names})"
    path = f"os.path.join({str(tmp_path)!r}, os.environ['RANK'])"
    launch(2, python(f"open({path}, 'w').write({what})"))
    first, second = ((tmp_path / name).read_text().split() for name in "01")
    assert first[:4] == ["0", "0", "2", "127.0.0.1"] and second[:2] == ["1", "1"]
    assert first[2:] == second[2:]


def test_one_message_of_many(capfd):
    everyone = python("report('there is no store x.')", "sys.exit(1)")
    with pytest.raises(UserError, match=r"^there is no store x\.$"):
        launch(2, everyone)
    assert capfd.readouterr().err == ""


def test_the_message_of_the_one_that_failed():
    lost = f"report({BROKEN!r}) if os.environ['RANK'] == '0' else report('no room is left.')"
    with pytest.raises(UserError, match=r"^no room is left\.$"):
        launch(2, python("time.sleep(0.3 * int(os.environ['RANK']))", lost, "sys.exit(1)"))


def test_a_failure_ends_those_that_wait(monkeypatch, capfd):
    monkeypatch.setattr("atmorep_k.distribution.launch._PATIENCE", 0.2)
    begun = time.monotonic()
    wait = "time.sleep(60) if os.environ['RANK'] == '0' else 1 / 0"
    with pytest.raises(UserError, match="process 1 ended with code 1; its last output is above"):
        launch(2, python(wait))
    assert time.monotonic() - begun < 20
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_a_process_that_was_killed():
    suicide = "os.kill(os.getpid(), signal.SIGKILL) if os.environ['RANK'] == '1' else None"
    lost = f"time.sleep(0.3), report({BROKEN!r}), sys.exit(1)"
    with pytest.raises(UserError, match=r"process 1 was killed \(signal 9\)"):
        launch(2, python(suicide, lost))


def test_a_batch_systems_warning_is_handed_on(tmp_path):
    ready = f"open(os.path.join({str(tmp_path)!r}, os.environ['RANK']), 'w').close()"
    handler = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))"

    def warn():
        while len(list(tmp_path.iterdir())) < 2:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=warn, daemon=True).start()
    with pytest.raises(SystemExit) as ended:
        launch(2, python(handler, ready, "time.sleep(60)"))
    assert ended.value.code == 75


def test_ctrl_c_in_any_process_tells():
    with pytest.raises(SystemExit) as ended:
        launch(2, python("sys.exit(130 if os.environ['RANK'] == '1' else 75)"))
    assert ended.value.code == 130


def test_processes_end_with_the_launcher(tmp_path):
    follow = "from atmorep_k.distribution.launch import launched; launched({})"
    pid = f"open({str(tmp_path / 'pid')!r} + os.environ['RANK'], 'w').write(str(os.getpid()))"
    child = [*python(follow, pid, "time.sleep(60)")]
    launcher = subprocess.Popen(
        python(f"import atmorep_k.distribution.launch as l; l.launch(2, {child!r})")
    )
    paths = [tmp_path / f"pid{rank}" for rank in range(2)]
    while not all(p.exists() and p.read_text() for p in paths):
        time.sleep(0.05)
        assert launcher.poll() is None
    launcher.kill()
    launcher.wait()
    deadline = time.monotonic() + 10
    for number in (int(p.read_text()) for p in paths):
        while _runs(number):
            assert time.monotonic() < deadline
            time.sleep(0.05)


def _runs(number):
    try:
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.parametrize("shape", [(1, 1), (-1, 1)])
def test_one_device_needs_no_launch(shape, alone):
    assert not launched({"Mesh.shape": shape}, ["--version"])


def test_a_mesh_starts_as_many(alone, capfd):
    assert launched({"Mesh.shape": (2, 1)}, ["--version"])
    assert capfd.readouterr().out.startswith("atmorep-k ")


def test_one_of_several_starts_none(alone, monkeypatch):
    monkeypatch.setenv("SLURM_PROCID", "1")
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "2")
    assert not launched({"Mesh.shape": (2, 1)}, ["--version"])
