"""Profiles of training steps: what they add up to, and that nothing is compiled or read anew."""

import json

import keras
import pytest
from schedules import schedule_of

from atmorep_k import components
from atmorep_k.costs.training import sample_bytes
from atmorep_k.errors import UserError
from atmorep_k.runs.directory import RunDirectory
from atmorep_k.training import Pretraining
from atmorep_k.training.profiling.intervals import busy, covered

PARTS = ("loader", "host", "device", "communication")


@pytest.fixture
def make_task(make_model, tiny_store):
    def make(**changes):
        length = {"steps": 6, "steps_per_epoch": 6, "batch_size": 4}
        return Pretraining(
            make_model(),
            dataset=components.datasets.WindowDataset(str(tiny_store)),
            masking=components.maskings.RandomTokens(),
            loss=components.losses.EnsembleMSE(),
            optimizer=keras.optimizers.AdamW(1e-3),
            schedule=schedule_of(changes, validation_batches=0, **length),
            **changes,
        )

    return make


@pytest.mark.backend
def test_a_profile_of_a_run(make_task, tmp_path, capsys):
    task, run = make_task(), RunDirectory(tmp_path / "run")
    task.run(run, "", profile=3)
    found = json.loads((run.path / "profile" / "shares.json").read_text())
    assert sum(found[part] for part in PARTS) == pytest.approx(1)
    assert all(found[part] >= 0 for part in PARTS)
    assert found["device"] > 0.02
    assert found["loader"] < 0.5  # a store in memory, read ahead by threads
    assert found["communication"] == 0
    assert found["traces"] == (None if keras.backend.backend() == "torch" else 0)
    assert found["batch_bytes"] == 4 * sample_bytes(task)
    written = [p for p in (run.path / "profile").rglob("*") if p.suffix in (".pb", ".json")]
    assert max(path.stat().st_size for path in written) > 10_000
    told = capsys.readouterr().err
    assert all(word in told for word in (*PARTS, str(run.path / "profile"), "bytes to the device"))


@pytest.mark.parametrize("steps", [-1, 6, 7])
def test_steps_that_no_epoch_has_are_refused(make_task, tmp_path, steps):
    run = RunDirectory(tmp_path / "run")
    with pytest.raises(UserError, match=f"--profile takes 1 to 5 steps.*, not {steps}"):
        make_task().run(run, "", profile=steps)
    assert not run.path.exists()


def test_what_runs_at_the_same_time_counts_once():
    assert covered([(0, 2), (1, 3), (5, 6), (5.5, 5.7)]) == 4
    assert covered([]) == 0


def test_communication_is_what_no_computing_covers():
    events = [("dot.3", 0, 4), ("all-reduce.1", 3, 6), ("ncclDevKernel_AllGather", 7, 8)]
    assert busy([*events, ("fusion", 5, 5.5)]) == (4.5, 2.5)
