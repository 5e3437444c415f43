"""Training: what a run leaves behind, and that it goes on where it was stopped."""

import csv
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import zarr
from schedules import schedule_of

import atmorep_k
from atmorep_k import components
from atmorep_k.errors import Interrupted, UserError
from atmorep_k.model import AtmoRep
from atmorep_k.runs.checkpoints import checkpoints
from atmorep_k.runs.directory import HISTORY_COLUMNS, RunDirectory
from atmorep_k.training import Pretraining, callbacks

SAME = ("step", "epoch", "loss", "val_loss", "learning_rate")  # what a resumed run must repeat


@pytest.fixture
def make_task(make_model, make_field, tiny_store):
    """Function that makes a training of 10 steps, 6 to an epoch, a checkpoint every 4."""

    def make(model=None, store=tiny_store, rate=1e-2, **changes):
        encoder = components.encoders.Encoder(
            num_layers=1, block=components.blocks.TransformerBlock(num_heads=2, dropout=0.2)
        )
        decoder = components.decoders.UNetDecoder(
            num_layers=1, block=components.blocks.TransformerBlock(num_heads=2)
        )
        options = {
            "dataset": components.datasets.WindowDataset(str(store), samples_per_epoch=8),
            "masking": components.maskings.RandomTokens(),
            "loss": components.losses.AlmostFairKernelCRPS(),
            "schedule": schedule_of(
                changes,
                steps=10,
                batch_size=2,
                steps_per_epoch=6,
                checkpoint_every=4,
                validation_batches=1,
            ),
            **changes,
        }
        rates = components.schedules.WarmupDecay(1e-4, rate, warmup_steps=5)
        optimizer = keras.optimizers.AdamW(rates, weight_decay=0.05, global_clipnorm=1.0)
        fields = [make_field(token_size=(2, 2, 4))]
        model = model or make_model(fields, encoder=encoder, decoder=decoder)
        return Pretraining(model, optimizer=optimizer, **options)

    return make


def rows(run):
    with run.history.open(newline="") as file:
        return list(csv.DictReader(file))


def repeated(run):
    return [{name: row[name] for name in SAME} for row in rows(run)]


def weights(run):
    return atmorep_k.load_model(run.path).get_weights()


@pytest.fixture(scope="module")
def finished(request, tmp_path_factory):
    """A run that nothing interrupted, and its task's model."""
    return RunDirectory(tmp_path_factory.mktemp("runs") / "whole"), []


@pytest.fixture
def whole(finished, make_task):
    """A run that nothing interrupted; made once."""
    run, made = finished
    if not made:
        made.append(make_task())
        made[0].run(run, "A = 1\n")
    return run


class Killed(BaseException):
    """Stands for a signal that ends the process."""


@pytest.mark.backend
@pytest.mark.rendered
def test_a_run_leaves_its_files(whole):
    names = {path.name for path in whole.path.iterdir()}
    assert names >= {"model.keras", "config.gin", "run.json", "history.csv", "checkpoints", "plots"}
    saved = {path.name for path in whole.checkpoints.iterdir()}
    assert saved == {"step_00000004", "step_00000008"}
    assert not [path for path in whole.path.rglob("*") if "partial" in path.name]
    assert whole.config.read_text() == "A = 1\n"
    assert (whole.path / "plots" / "loss.png").stat().st_size > 1000


@pytest.mark.backend
def test_the_history_has_a_row_for_each_step(whole):
    history = rows(whole)
    assert tuple(history[0]) == HISTORY_COLUMNS
    assert [int(row["step"]) for row in history] == list(range(1, 11))
    assert [int(row["epoch"]) for row in history] == [0] * 6 + [1] * 4
    validated = [int(row["step"]) for row in history if row["val_loss"]]
    assert validated == [6, 10]
    assert all(0 < float(row["loss"]) < 10 for row in history)
    seconds = [float(row["seconds"]) for row in history]
    assert seconds == sorted(seconds)


@pytest.mark.backend
def test_the_learning_rate_is_that_of_the_step(whole):
    schedule = components.schedules.WarmupDecay(1e-4, 1e-2, warmup_steps=5)
    expected = [float(keras.ops.convert_to_numpy(schedule(step))) for step in range(10)]
    assert [float(row["learning_rate"]) for row in rows(whole)] == pytest.approx(expected, rel=1e-5)


@pytest.mark.backend
def test_the_record_tells_where_the_run_comes_from(whole, tiny_store):
    record = json.loads(whole.record.read_text())
    assert record["seed"] == 0
    assert record["versions"]["keras"] == keras.__version__
    assert record["store"]["store"] == str(tiny_store)
    assert len(record["store"]["fingerprint"]) == 64
    assert record["timings"]["training_seconds"] > 0
    assert {"command", "started", "python", "cpus"} <= set(record)


@pytest.mark.backend
def test_the_model_has_statistics_and_no_optimizer(whole):
    model = atmorep_k.load_model(whole.model)
    assert model.normalizers["temperature"].is_fitted
    assert model.provenance["units"] == {"temperature": "K"}
    assert model.provenance["versions"]["atmorep_k"] == atmorep_k.__version__
    with zipfile.ZipFile(whole.model) as archive, archive.open("model.weights.h5") as weights:
        assert not [name for name in h5py.File(weights) if "optimizer" in name]


@pytest.mark.backend
def test_training_starts_from_the_seed(whole, make_task, tmp_path):
    again, other = (RunDirectory(tmp_path / name) for name in ("again", "other"))
    make_task(steps=2).run(again, "")
    make_task(steps=2, seed=1).run(other, "")
    assert [row["loss"] for row in rows(again)] == [row["loss"] for row in rows(whole)[:2]]
    assert rows(other)[0]["loss"] != rows(whole)[0]["loss"]


@pytest.mark.backend
@pytest.mark.parametrize(
    ("step", "hook", "every", "last"),
    [
        (4, "on_train_batch_end", 4, 4),  # inside an epoch, as soon as the checkpoint is there
        (6, "on_train_batch_end", 3, 3),  # an epoch's last step, before it is validated
        (6, "on_epoch_end", 3, 6),  # between two epochs
    ],
)
def test_a_resumed_run_repeats_the_numbers(
    step, hook, every, last, whole, make_task, tmp_path, monkeypatch
):
    run = RunDirectory(tmp_path / "run")
    with monkeypatch.context() as patch, pytest.raises(Killed):
        original = getattr(callbacks.Progress, hook)

        def killed(self, *arguments, **named):
            original(self, *arguments, **named)
            if self.step == step:
                raise Killed

        patch.setattr(callbacks.Progress, hook, killed)
        make_task(checkpoint_every=every).run(run, "")
    assert not run.model.exists()
    run.check_resumable()
    assert run.latest_checkpoint().step == last
    make_task(checkpoint_every=every).run(run, "", resume=True)
    assert repeated(run) == repeated(whole)
    for one, other in zip(weights(run), weights(whole), strict=True):
        np.testing.assert_array_equal(one, other)
    assert json.loads(run.record.read_text())["resumed_from_step"] == last


@pytest.mark.backend
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="only TensorFlow makes ahead")
def test_a_run_may_end_while_a_batch_is_made(make_task, tmp_path, monkeypatch):
    task, made = make_task(steps=20, steps_per_epoch=20), []
    batches, ended = task.dataset.batches, callbacks.Progress.on_train_batch_end

    def slow(*arguments, **named):
        for batch in batches(*arguments, **named):
            time.sleep(0.1)
            yield batch

    def kept(*arguments, **named):
        made.append(slow(*arguments, **named))
        return made[-1]

    def killed(self, *arguments, **named):
        ended(self, *arguments, **named)
        if made[-1].gi_running or self.step == 12:
            raise Killed

    monkeypatch.setattr(task.dataset, "batches", kept)
    monkeypatch.setattr(callbacks.Progress, "on_train_batch_end", killed)
    with pytest.raises(Killed):
        task.run(RunDirectory(tmp_path / "run"), "")
    assert all(one.gi_frame is None for one in made)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
@pytest.mark.parametrize(
    ("step", "hook"),
    [(0, "on_train_batch_begin"), (5, "on_test_batch_begin"), (5, "on_train_batch_begin")],
    ids=["compiling", "validating", "last step of an epoch"],
)
def test_a_signal_saves_and_stops(
    number, code, step, hook, whole, make_task, tmp_path, monkeypatch, capfd
):
    run, original = RunDirectory(tmp_path / "run"), getattr(callbacks.Progress, hook)
    handler, wakeup = signal.getsignal(number), signal.set_wakeup_fd(-1)

    def signalled(self, *arguments, **named):
        original(self, *arguments, **named)
        if self.step >= step and not run.latest_checkpoint():
            os.kill(os.getpid(), number)

    with monkeypatch.context() as patch, pytest.raises(Interrupted) as stopped:
        patch.setattr(callbacks.Progress, hook, signalled)
        make_task(checkpoint_every=10).run(run, "")
    last = 1 if step == 0 else 6
    assert f"after step {last}, which is saved" in str(stopped.value)
    assert stopped.value.exit_code == code
    assert run.latest_checkpoint().step == last
    assert ("press Ctrl-C again" in capfd.readouterr().err) == (number == signal.SIGINT)
    assert signal.getsignal(number) == handler
    assert signal.set_wakeup_fd(wakeup) == -1
    make_task().run(run, "", resume=True)
    assert repeated(run) == repeated(whole)


@pytest.mark.backend
@pytest.mark.skipif(keras.backend.backend() == "torch", reason="PyTorch runs step by step")
def test_steps_that_run_together_are_the_same_steps(whole, make_task, tmp_path):
    run = RunDirectory(tmp_path / "run")
    make_task(steps_per_execution=2, steps=9).run(run, "")
    seen = [2, 4, 6, 8, 9]
    assert [int(row["step"]) for row in rows(run)] == seen
    assert [c.step for c in checkpoints(run.checkpoints)] == [4, 8]
    for row, step in zip(rows(run), seen, strict=True):
        assert float(row["loss"]) == pytest.approx(float(rows(whole)[step - 1]["loss"]), rel=1e-5)
    shutil.rmtree(run.checkpoints / "step_00000008")
    make_task(steps_per_execution=2, steps=9).run(run, "", resume=True)
    assert [int(row["step"]) for row in rows(run)] == seen


@pytest.mark.backend
def test_steps_that_cannot_run_together(make_task):
    message = (
        "PyTorch runs each" if keras.backend.backend() == "torch" else "= 4 must be a multiple of"
    )
    with pytest.raises(UserError, match=message):
        make_task(steps_per_execution=3)


def test_the_best_state_becomes_the_model(make_task, tmp_path, monkeypatch):
    run, original = RunDirectory(tmp_path / "run"), callbacks.Checkpointing.on_epoch_end

    def worse(self, epoch, logs=None):
        original(self, epoch, {**logs, "val_loss": logs["val_loss"] + epoch})

    monkeypatch.setattr(callbacks.Checkpointing, "on_epoch_end", worse)
    task = make_task(steps_per_epoch=2, keep_checkpoints=1, best="val_loss", steps=6)
    task.run(run, "")
    first = RunDirectory(tmp_path / "first")
    make_task(steps=2, steps_per_epoch=2).run(first, "")
    assert [c.step for c in checkpoints(run.checkpoints)] == [2, 6]
    for one, other in zip(weights(run), weights(first), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_best_by_a_loss_that_is_not_taken(make_task):
    with pytest.raises(UserError, match="needs held-out batches"):
        make_task(best="val_loss", validation_batches=0)


COMMAND = """
import os, signal, sys
from atmorep_k.training import callbacks
from atmorep_k.cli import main
from blank_pictures import blank_pictures

original = callbacks.Progress.on_train_batch_end

def killed(self, *arguments, **named):
    original(self, *arguments, **named)
    if self.step == 5:
        os.kill(os.getpid(), signal.SIGKILL)

if sys.argv[1] == "killed":
    callbacks.Progress.on_train_batch_end = killed
with blank_pictures():
    main(sys.argv[2:])
"""


@pytest.mark.slow
def test_resume_after_a_killed_process(tiny_config, tmp_path):
    bindings = {"TrainingSchedule.checkpoint_every": 4}
    scored = "Scoring.maskings = {'forecast': @Forecast()}\n"
    (tmp_path / "top.gin").write_text(tiny_config(bindings, steps=8) + scored)

    def call(how, *arguments):
        command = [sys.executable, "-c", COMMAND, how, "run", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    stopped = call("killed", "top.gin", "--output", "stopped")
    assert stopped.returncode == -signal.SIGKILL, stopped.stderr
    for arguments in (["--resume", "stopped"], ["top.gin", "--output", "whole"]):
        done = call("whole", *arguments)
        assert done.returncode == 0, done.stderr
    stopped, whole = (RunDirectory(tmp_path / name) for name in ("stopped", "whole"))
    assert repeated(stopped) == repeated(whole)
    assert len(rows(whole)) == 8
    assert (stopped.path / "scores.json").read_text() == (whole.path / "scores.json").read_text()
    for one, other in zip(weights(stopped), weights(whole), strict=True):
        np.testing.assert_array_equal(one, other)


class Counting(AtmoRep):
    """A model that counts how often its steps are traced."""

    traced = ()

    def train_step(self, *arguments):
        Counting.traced.append("train")
        return super().train_step(*arguments)

    def test_step(self, *arguments):
        Counting.traced.append("test")
        return super().test_step(*arguments)

    def call(self, *arguments, **named):
        Counting.traced.append("call")
        return super().call(*arguments, **named)


@pytest.mark.backend
@pytest.mark.skipif(keras.backend.backend() == "torch", reason="nothing is traced on PyTorch")
def test_nothing_is_traced_twice(make_task, make_model, make_field, tmp_path):
    made = make_model([make_field(token_size=(2, 2, 4))])
    model = Counting.from_config(made.get_config())
    Counting.traced = []
    task = make_task(model, steps=7, steps_per_epoch=3, validation_batches=2)
    task.run(RunDirectory(tmp_path / "run"), "")
    # The model is called once in each; not even to learn its shapes is it called before.
    assert sorted(Counting.traced) == ["call", "call", "test", "train"]


def test_a_loss_that_is_not_finite_ends_in_one_sentence(make_task, tmp_path, monkeypatch):
    run = RunDirectory(tmp_path / "run")
    task, original = make_task(), callbacks.History.on_train_batch_end

    def spoilt(self, batch, logs=None):
        loss = float("nan") if self.step == 5 else logs["batch_loss"]
        original(self, batch, {**logs, "batch_loss": loss})

    monkeypatch.setattr(callbacks.History, "on_train_batch_end", spoilt)
    with pytest.raises(UserError, match="the loss of step 6 is nan: lower the learning rate"):
        task.run(run, "")
    assert run.latest_checkpoint().step == 4
    assert [int(row["step"]) for row in rows(run)] == [1, 2, 3, 4, 5]
    assert not run.model.exists()


def test_a_loss_that_explodes_leaves_nothing_without_a_checkpoint(make_task, tmp_path):
    run = RunDirectory(tmp_path / "run")
    with pytest.raises(UserError, match=r"the loss of step \d is (nan|inf)"):
        make_task(rate=1e38, loss=components.losses.EnsembleMSE()).run(run, "")
    assert not run.path.exists()


def test_missing_values_are_found_before_a_run_is_made(make_task, write_tiny_store, tmp_path):
    store = write_tiny_store(tmp_path / "gaps.zarr")
    zarr.open_group(store)["temperature"][5:, 0, 3:5] = np.nan
    run = RunDirectory(tmp_path / "run")
    with pytest.raises(UserError, match="temperature"):
        make_task(store=store, batch_size=8).run(run, "")
    assert not run.path.exists()


def _full_disk(*arguments, **named):
    path = next(a for a in arguments if isinstance(a, Path))
    path.write_bytes(b"half a model")
    raise OSError(errno.ENOSPC, "No space left on device", str(path))


def test_no_room_for_the_first_checkpoint_leaves_nothing(make_task, tmp_path, monkeypatch):
    run = RunDirectory(tmp_path / "run")
    monkeypatch.setattr(np, "savez", _full_disk)
    with pytest.raises(UserError, match=r"no room left to write .*step_00000004"):
        make_task().run(run, "")
    assert not run.path.exists()


def test_no_room_for_the_model_leaves_the_checkpoints(make_task, tmp_path, monkeypatch):
    run = RunDirectory(tmp_path / "run")
    monkeypatch.setattr(AtmoRep, "save", _full_disk)
    with pytest.raises(UserError, match=r"no room left to write .*model\.keras"):
        make_task(steps=4).run(run, "")
    assert run.latest_checkpoint().step == 4
    assert not [path for path in run.path.rglob("*") if "partial" in path.name]
    monkeypatch.undo()
    make_task(steps=4).run(run, "", resume=True)
    assert run.model.exists()


@pytest.mark.backend
def test_mixed_precision_trains_to_nearly_the_same_losses(make_task, whole, tmp_path):
    run = RunDirectory(tmp_path / "run")
    task = make_task()
    config = {**task.model.get_config(), "dtype": "mixed_bfloat16"}
    make_task(AtmoRep.from_config(config), steps=3).run(run, "")
    losses = [[float(row["loss"]) for row in rows(r)[:3]] for r in (run, whole)]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)
    assert losses[0] != losses[1]
    assert atmorep_k.load_model(run.model).dtype_policy.name == "mixed_bfloat16"


def test_encoding_visible_tokens_needs_a_masking_that_hides(make_task, make_model, tmp_path):
    run = RunDirectory(tmp_path / "run")
    with pytest.raises(
        UserError, match="only adds noise to some or coarsens them: set its rate hidden = 1"
    ):
        make_task(make_model(encode="visible")).run(run, "")
    assert not run.path.exists()
    masking = components.maskings.RandomTokens(hidden=1.0, noised=0.0, coarsened=0.0)
    make_task(make_model(encode="visible"), masking=masking, steps=1).run(run, "")
    assert run.model.exists()


@pytest.mark.parametrize("name", ["steps", "batch_size", "steps_per_epoch", "checkpoint_every"])
def test_numbers_must_be_positive(name, make_task):
    with pytest.raises(UserError, match=f"TrainingSchedule.{name} must be at least 1, not 0"):
        make_task(**{name: 0})
