"""Where a run stands, read from its files."""

import csv

import pytest

from atmorep_k.errors import UserError
from atmorep_k.runs.checkpoints import path_of
from atmorep_k.runs.directory import HISTORY_COLUMNS, RunDirectory
from atmorep_k.runs.status import describe_run, is_run, print_run


@pytest.fixture
def run(tmp_path):
    """A run of which three steps are done, and one checkpoint written."""
    run = RunDirectory(tmp_path / "run")
    run.create("A = 1\n")
    run.write_record(steps=10, mesh=[2, 1], processes=2)
    with run.history.open("a", newline="") as file:
        writer = csv.DictWriter(file, HISTORY_COLUMNS)
        for step, rate in ((1, 2.0), (2, 8.0), (3, 9.0)):
            row = {"step": step, "loss": 1 / step, "samples_per_second": rate, "seconds": step}
            writer.writerow({**row, "val_loss": 0.7 if step == 2 else ""})
    folder = path_of(run.checkpoints, 2)
    folder.mkdir()
    (folder / "state.json").write_text('{"scores": {"val_loss": 0.7}}')
    return run


def test_a_run_that_has_not_ended(run, capsys):
    assert is_run(run.path)
    assert not is_run(run.checkpoints)
    told = describe_run(run.path)
    assert (told["step"], told["steps"], told["finished"]) == (3, 10, False)
    assert (told["loss"], told["val_loss"], told["val_loss_step"]) == (1 / 3, 0.7, 2)
    assert told["samples_per_second"] == 8.0
    assert [c["step"] for c in told["checkpoints"]] == [2]
    print_run(told)
    said = capsys.readouterr().out
    assert f"{run.path}: step 3 of 10, last written 0 s ago" in said
    assert f"atmorep-k run --resume {run.path}" in said
    assert "held-out 0.7 (step 2)" in said
    assert "(2, 1), 2 processes" in said
    assert "step_00000002 (0.0 MB, val_loss 0.7)" in said


def test_a_run_that_has_ended(run, capsys):
    run.model.write_text("")
    print_run(describe_run(run.path))
    assert "step 3 of 10, finished" in capsys.readouterr().out


def test_a_run_before_its_first_step(tmp_path, capsys):
    run = RunDirectory(tmp_path / "run")
    run.create("A = 1\n")
    with pytest.raises(UserError, match="is not a complete run"):
        describe_run(run.path)
    run.write_record(steps=10)
    print_run(describe_run(run.path))
    assert "step 0 of 10" in capsys.readouterr().out
