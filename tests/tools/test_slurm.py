"""The scripts for SLURM, with programs in place of SLURM's that note how they were called."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "tools" / "slurm"


@pytest.fixture(params=["torch", "jax"])
def submit(request, tmp_path):
    """Function (exit code of the training) -> exit code of the script, and what it called."""
    called = tmp_path / "called"
    for program, code in (("srun", "$CODE"), ("scontrol", "0")):
        path = tmp_path / program
        path.write_text(f'#!/bin/bash\necho "{program} $*" >> {called}\nexit {code}\n')
        path.chmod(0o755)

    def run(code):
        called.write_text("")
        environment = {
            **os.environ,
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "SLURM_JOB_ID": "17",
            "CODE": str(code),
        }
        command = ["bash", SCRIPTS / f"{request.param}.sh", "run", "a.gin", "--set", "MESH=(4, 1)"]
        ended = subprocess.run(command, cwd=tmp_path, env=environment).returncode
        return ended, called.read_text().splitlines()

    return run


TRAIN = "srun --kill-on-bad-exit=1 atmorep-k run"


def test_a_run_that_was_interrupted_is_requeued_and_goes_on(submit, tmp_path):
    first = f"{TRAIN} a.gin --set MESH=(4, 1) --output run"
    assert submit(75) == (0, [first, "scontrol requeue 17"])
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.gin").touch()
    assert submit(0) == (0, [f"{TRAIN} --resume run"])


def test_a_run_that_failed_is_not_repeated(submit):
    code, called = submit(1)
    assert code == 1 and len(called) == 1
