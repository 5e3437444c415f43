"""Watching a training: scores on the way that change nothing of it."""

import csv
import json

import keras
import numpy as np
import pytest
from schedules import schedule_of

import atmorep_k
from atmorep_k import components
from atmorep_k.errors import UserError
from atmorep_k.evaluation.held_out.scoring import Scoring
from atmorep_k.model import AtmoRep
from atmorep_k.runs.callback import RunCallback
from atmorep_k.runs.checkpoints import checkpoints
from atmorep_k.runs.directory import WATCH_COLUMNS, RunDirectory
from atmorep_k.training import Pretraining, callbacks
from atmorep_k.training.watch.watch import Watch

MASKINGS = {
    "forecast": components.maskings.Forecast(),
    "interpolate": components.maskings.TemporalInterpolation(),
}


@pytest.fixture
def make_task(make_model, make_field, tiny_store):
    """Function that makes a training of 8 steps, 4 to an epoch, watched every 2."""

    def make(watch=True, model=None, **changes):
        encoder = components.encoders.Encoder(
            num_layers=1, block=components.blocks.TransformerBlock(num_heads=2, dropout=0.2)
        )
        decoder = components.decoders.UNetDecoder(
            num_layers=1, block=components.blocks.TransformerBlock(num_heads=2)
        )
        length = {"steps": 8, "steps_per_epoch": 4, "checkpoint_every": 3}
        return Pretraining(
            model or make_model([make_field()], encoder=encoder, decoder=decoder),
            components.datasets.WindowDataset(str(tiny_store)),
            components.maskings.RandomTokens(),
            components.losses.AlmostFairKernelCRPS(),
            keras.optimizers.AdamW(1e-3),
            schedule_of(changes, batch_size=2, validation_batches=1, **length),
            watch=Watch(MASKINGS, every=2, num_samples=3, batch_size=2) if watch is True else watch,
            **changes,
        )

    return make


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    return RunDirectory(tmp_path_factory.mktemp("watched") / "run")


@pytest.fixture
def watched(once, make_task):
    """A run that was watched; made once."""
    if not once.path.exists():
        make_task(scoring=Scoring(MASKINGS, num_samples=3, batch_size=3, seed=2)).run(once, "")
    return once


def rows(run):
    with run.watch.open(newline="") as file:
        return list(csv.DictReader(file))


def history(run):
    with run.history.open(newline="") as file:
        return [(row["step"], row["loss"], row["val_loss"]) for row in csv.DictReader(file)]


def weights(run):
    return atmorep_k.load_model(run.model).get_weights()


@pytest.mark.backend
@pytest.mark.rendered
def test_scores_come_every_few_steps_and_those_of_baselines_once(watched):
    found = rows(watched)
    assert tuple(found[0]) == WATCH_COLUMNS
    for task in MASKINGS:
        of = {
            model: [int(r["step"]) for r in found if (r["task"], r["model"]) == (task, model)]
            for model in ("ensemble", "persistence", "climatology")
        }
        assert set(of["ensemble"]) == {2, 4, 6, 8}
        assert set(of["persistence"]) == set(of["climatology"]) == {2}
    assert {r["level"] for r in found} == {"500", "850", "all"}
    assert (watched.path / "plots" / "watch_temperature.png").stat().st_size > 1000


@pytest.mark.backend
def test_the_last_scores_are_those_of_the_end(watched):
    at_the_end = json.loads(watched.scores.read_text())
    expected = {
        (r["task"], str(r["level"]), r["metric"], r["model"]): r["value"]
        for r in at_the_end
        if "lead_time_hours" not in r
    }
    last = {
        (r["task"], r["level"], r["metric"], r["model"]): float(r["value"])
        for r in rows(watched)
        if r["step"] == "8" or r["model"] != "ensemble"
    }
    assert last == pytest.approx(expected, rel=1e-5)


@pytest.mark.backend
def test_a_training_does_not_depend_on_whether_it_is_watched(watched, make_task, tmp_path):
    alone = RunDirectory(tmp_path / "alone")
    make_task(watch=None).run(alone, "")
    assert history(alone) == history(watched)
    assert not alone.watch.exists()
    for one, other in zip(weights(alone), weights(watched), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_resumed_run_repeats_the_scores(watched, make_task, tmp_path, monkeypatch):
    run, original = RunDirectory(tmp_path / "run"), callbacks.Progress.on_train_batch_end

    def killed(self, *arguments, **named):
        original(self, *arguments, **named)
        if self.step == 5:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(callbacks.Progress, "on_train_batch_end", killed)
        make_task().run(run, "")
    with run.watch.open("a") as file:
        file.write("6,forecast,temp")  # as a process leaves it that is killed as it writes
    assert run.latest_checkpoint().step == 3
    make_task().run(run, "", resume=True)
    assert run.watch.read_text() == watched.watch.read_text()


class Told(RunCallback):
    """Writes down what it is told."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def check(self):
        self.calls.append("check")

    def begin(self, run, config_text, start_step):
        self.calls.append((config_text, start_step, run.record.is_file()))

    def on_epoch_end(self, epoch, logs=None):
        self.calls.append(logs["forecast.temperature.crps"])

    def end(self, run, finished):
        self.calls.append((finished, run.model.is_file()))


class Stopping(keras.callbacks.Callback):
    """Ends the training after a step."""

    def on_train_batch_end(self, batch, logs=None):
        self.model.stop_training = batch == 2


def test_callbacks_are_told_of_the_run_and_may_end_it(make_task, tmp_path):
    run, told, best = RunDirectory(tmp_path / "run"), Told(), "forecast.temperature.crps"
    make_task(best=best, callbacks=[Stopping(), told], steps=6, steps_per_epoch=2).run(run, "A = 1")
    assert len(history(run)) == 6
    scores = [(c.step, c.scores[best]) for c in checkpoints(run.checkpoints)]
    of = {"task": "forecast", "level": "all", "metric": "crps", "model": "ensemble"}
    rows_of = [r for r in rows(run) if of.items() <= r.items()]
    assert [(int(r["step"]), float(r["value"])) for r in rows_of if r["step"] != "2"] == scores
    assert told.calls[:2] == ["check", ("A = 1", 0, True)]
    assert told.calls[2:-1] == [float(r["value"]) for r in rows_of]
    assert told.calls[-1] == (True, True)
    run = RunDirectory(tmp_path / "ended")
    make_task(watch=None, callbacks=[Stopping()]).run(run, "")
    assert len(history(run)) == 3


class Counting(AtmoRep):
    """A model that counts how often it is traced."""

    traced = 0

    def call(self, *arguments, **named):
        Counting.traced += 1
        return super().call(*arguments, **named)


@pytest.mark.slow
@pytest.mark.backend
@pytest.mark.skipif(keras.backend.backend() == "torch", reason="nothing is traced on PyTorch")
def test_each_masking_is_compiled_once(make_task, make_model, tmp_path):
    # Of such a model TensorFlow has to know how many tokens are hidden.
    model = Counting.from_config(make_model(encode="visible").get_config())
    Counting.traced = 0
    task = make_task(model=model)
    task.masking = components.maskings.RandomTokens(hidden=1.0, noised=0.0, coarsened=0.0)
    task.run(RunDirectory(tmp_path / "run"), "")
    assert Counting.traced == 4  # a step, its validation, two maskings


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"best": "forecast.temperature.crsp"}, "did you mean 'forecast.temperature.crps'"),
        ({"best": "forecast.temperature.rmse", "steps": 3}, "no epoch of 4 steps ends with"),
        ({"watch": Watch({"forcast": MASKINGS["forecast"]})}, "did you mean 'forecast'"),
    ],
)
def test_what_cannot_be_watched_is_told_before_a_run_is_made(changes, message, make_task, tmp_path):
    run = RunDirectory(tmp_path / "run")
    with pytest.raises(UserError, match=message):
        make_task(**changes).run(run, "")
    assert not run.path.exists()


@pytest.mark.parametrize("name", ["every", "num_samples", "batch_size"])
def test_numbers_must_be_positive(name):
    with pytest.raises(UserError, match=f"Watch.{name} must be at least 1, not 0"):
        Watch(MASKINGS, **{name: 0})
