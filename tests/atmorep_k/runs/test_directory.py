import csv
import json
import os

import keras
import pytest

from atmorep_k.errors import UserError
from atmorep_k.runs.checkpoints import Checkpoint, path_of
from atmorep_k.runs.directory import HISTORY_COLUMNS, RunDirectory, environment


@pytest.fixture
def run(tmp_path):
    run = RunDirectory(tmp_path / "runs" / "first")
    run.create("A = 1\n")
    return run


def add_steps(run, steps):
    with run.history.open("a", newline="") as file:
        writer = csv.DictWriter(file, HISTORY_COLUMNS)
        for step in steps:
            writer.writerow({"step": step, "loss": 0.5, "seconds": f"{step / 2:.2f}"})


def test_a_new_run_has_its_configuration_and_an_empty_history(run):
    assert run.config.read_text() == "A = 1\n"
    assert run.history.read_text() == ",".join(HISTORY_COLUMNS) + "\n"
    assert run.latest_checkpoint() is None
    assert {path.name for path in run.path.iterdir()} == {
        "config.gin",
        "history.csv",
        "checkpoints",
    }


@pytest.mark.parametrize("name", ["new", "new/deep/run", "."])
def test_a_place_for_a_new_run(tmp_path, name):
    RunDirectory(tmp_path / name).check_new()
    assert not os.listdir(tmp_path)


def test_an_existing_output_is_refused(run, tmp_path):
    with pytest.raises(UserError, match="already exists: choose another --output, or resume"):
        run.check_new()
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="already exists"):
        RunDirectory(tmp_path / "file").check_new()


def test_an_output_that_cannot_be_written_is_refused(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write .*: .*file is not a writable directory"):
        RunDirectory(tmp_path / "file" / "run").check_new()
    # The administrator, as whom tests may run, could write anywhere.
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)
    with pytest.raises(UserError, match="is not a writable directory"):
        RunDirectory(tmp_path / "deep" / "run").check_new()


def test_only_a_run_can_be_resumed(run, tmp_path):
    with pytest.raises(UserError, match=r"is not a run: it has no config\.gin"):
        RunDirectory(tmp_path).check_resumable()
    run.check_resumable()  # without a checkpoint it starts anew


def test_a_run_goes_on_on_its_own_backend(run):
    path_of(run.checkpoints, 900).mkdir()
    (path_of(run.checkpoints, 900) / "state.json").write_text("{}")
    run.write_record(versions={"backend": keras.backend.backend()})
    run.check_resumable()
    run.write_record(versions={"backend": "another"})
    with pytest.raises(UserError, match=r"was trained on another.*with KERAS_BACKEND=another\."):
        run.check_resumable()


def test_the_latest_checkpoint_is_the_last_complete_one(run):
    for step in (900, 1000, 100_000_000):
        path_of(run.checkpoints, step).mkdir()
        (path_of(run.checkpoints, step) / "state.json").write_text("{}")
    for name in (".partial-step_999999999", "step_best", "step_999999999"):
        (run.checkpoints / name).mkdir()
    assert run.latest_checkpoint() == Checkpoint(path_of(run.checkpoints, 100_000_000))


def test_a_resumed_history_goes_on_where_the_checkpoint_is(run):
    add_steps(run, range(1, 8))
    assert run.cut_history(5) == 2.5
    with run.history.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["1", "2", "3", "4", "5"]
    assert tuple(rows[0]) == HISTORY_COLUMNS


def test_a_history_without_steps_took_no_time(run):
    assert run.cut_history(0) == 0.0


def test_a_last_line_that_a_kill_cut_off_is_dropped(run):
    add_steps(run, range(1, 4))
    with run.history.open("a") as file:
        file.write("4,0,0.4")
    assert run.cut_history(3) == 1.5
    add_steps(run, [4])
    assert run.history.read_text().count("\n") == 5


def test_the_record_grows(run):
    run.write_record(seed=3, timings={"training_seconds": 1.5})
    run.write_record(resumed_from_step=4, store={"path": run.path})
    record = json.loads(run.record.read_text())
    assert record["seed"] == 3
    assert record["timings"] == {"training_seconds": 1.5}
    assert record["resumed_from_step"] == 4
    assert record["store"] == {"path": str(run.path)}


def test_remove(run):
    run.remove()
    assert not run.path.exists()
    assert run.path.parent.exists()


def test_the_environment_tells_the_machine_and_the_call():
    found = environment()
    assert set(found) == {"command", "started", "python", "machine", "cpus"}
    assert found["cpus"] == os.cpu_count()
