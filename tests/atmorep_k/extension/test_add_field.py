"""`atmorep-k add-field` and `remove-field` as a user calls them."""

import csv
import json
import re
import signal
from pathlib import Path

import keras
import numpy as np
import pytest
from click.testing import CliRunner

import atmorep_k
from atmorep_k import components
from atmorep_k.cli import main
from atmorep_k.runs.directory import RunDirectory
from atmorep_k.saved.fingerprints import differences, fingerprints
from atmorep_k.training import callbacks

# What is new to a model is proved on every backend; the rest is told once.
TOP = """
include 'add_field.gin'
STORE = {store!r}
FIELD = 'temperature'
LEVELS = [500, 850]
WINDOW = (4, 4, 8)
STEP_HOURS = 1
TOKEN_SIZE = (2, 2, 4)
EMBED_DIM = 24
STEPS = 6
BATCH_SIZE = 2
TrainingSchedule.steps_per_epoch = 3
TrainingSchedule.checkpoint_every = 3
TrainingSchedule.validation_batches = 1
WarmupDecay.warmup_steps = 4
Scoring.num_samples = 2
Scoring.batch_size = 2
"""


def call(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory, write_tiny_store, tiny_config):
    """A store of two fields, a pretrained vorticity model `old`, and `add.gin`."""
    path = tmp_path_factory.mktemp("add")
    store = write_tiny_store(path / "two.zarr", ("vorticity", "temperature"))
    config = tiny_config({"Encoder.num_layers": 2}, store=str(store), field="vorticity")
    config += "Scoring.maskings = {'forecast': @Forecast()}\n"
    (path / "old.gin").write_text(config)
    (path / "add.gin").write_text(TOP.format(store=str(store)))
    result = call("run", path / "old.gin", "--output", path / "old")
    assert result.exit_code == 0, result.output
    return path


@pytest.fixture(scope="module")
def added(folder):
    """The finished run of add-field, and what it printed."""
    result = call("add-field", folder / "old", folder / "add.gin", "--output", folder / "new")
    assert result.exit_code == 0, result.output
    return RunDirectory(folder / "new"), result.stdout


def test_it_prints_what_it_takes_and_proves(added, folder):
    run, printed = added
    lines = printed.splitlines()
    words = [line.split()[0] for line in lines if line.strip()]
    assert words[:6] == ["taken", "new", "new", "trained", "step", "start"]
    assert re.search(r"^cost     \S+ s a step", printed, re.MULTILINE)
    assert "proof    weights and statistics of the old fields: byte for byte" in printed
    assert "proof    predictions of vorticity: identical, bit for bit" in printed
    assert "Normalised MSE of temperature" in printed
    assert lines[-1] == str(run.path)
    assert str(run.path / "comparison.json") in lines


def test_the_files_say_the_same(added, folder):
    run, _ = added
    old = folder / "old" / "model.keras"
    assert differences(old, run.model, ["vorticity"]) == []
    assert fingerprints(old)["vorticity"] == fingerprints(run.model)["vorticity"]
    proof = json.loads((run.path / "proof.json").read_text())
    assert proof["changed"] == []
    assert proof["predictions"]["vorticity"]["identical"] is True
    rows = json.loads((run.path / "comparison.json").read_text())
    assert {row["task"] for row in rows} == {"masked", "forecast", "interpolate", "infill"}
    joined = json.loads(run.scores.read_text())
    assert {s["field"] for s in joined} == {"vorticity", "temperature"}


def test_the_saved_files_predict_the_same(added, folder, make_batch):
    run, _ = added
    new = atmorep_k.load_model(run.model)
    old = atmorep_k.load_model(folder / "old" / "model.keras")
    inputs, _, _ = make_batch(new.fields)
    own = {key: array for key, array in inputs.items() if key.startswith("vorticity")}
    expected, predicted = old(own)["vorticity"], new(inputs)["vorticity"]
    np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (predicted, expected)))
    np.testing.assert_array_equal(
        new.normalizers["vorticity"].mean, old.normalizers["vorticity"].mean
    )


def test_what_is_frozen_and_where_it_came_from_is_seen(added, folder):
    run, _ = added
    found = json.loads(call("inspect", run.path, "--json").stdout)
    fields = {f["name"]: f for f in found["fields"]}
    assert fields["vorticity"]["frozen"] == fields["vorticity"]["weights"]
    assert fields["temperature"]["frozen"] == 0
    assert found["freeze"] == ["*/vorticity/*"]
    (source,) = found["provenance"]["sources"]
    assert source["model"] == str(folder / "old" / "model.keras")
    result = call("inspect", run.path, "--diagram", folder / "new.svg")
    assert result.exit_code == 0, result.output
    assert (folder / "new.svg").read_text().startswith("<?xml")
    assert call("inspect", run.path).exit_code == 0


def test_it_comes_out_again(added, folder):
    run, _ = added
    back = folder / "back.keras"
    result = call("remove-field", run.path, "temperature", "--output", back)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == str(back)
    assert fingerprints(back) == fingerprints(folder / "old")


class Killed(BaseException):
    """Stands for a signal that ends the process."""


@pytest.mark.slow
def test_an_interrupted_one_goes_on_to_the_same_numbers(added, folder, monkeypatch):
    run, _ = added
    save = callbacks.Checkpointing.on_train_batch_end

    def killed(self, batch, logs=None):
        save(self, batch, logs)
        if self.step == 5:
            raise Killed

    monkeypatch.setattr(callbacks.Checkpointing, "on_train_batch_end", killed)
    output = folder / "cut"
    no = ("--set", "ExtendedModel.compare=False")
    with pytest.raises(Killed):
        call("add-field", folder / "old", folder / "add.gin", "--output", output, *no)
    monkeypatch.undo()
    result = call("run", "--resume", output)
    assert result.exit_code == 0, result.output
    assert "proof    weights" in result.stdout

    def losses(path):
        with (path / "history.csv").open(newline="") as file:
            return [row["loss"] for row in csv.DictReader(file)]

    assert losses(output) == losses(run.path)
    assert fingerprints(output) == fingerprints(run.path)


@pytest.mark.slow
def test_ctrl_c_while_the_field_trains_alone(folder, monkeypatch):
    output, save = folder / "stopped", callbacks.Checkpointing.on_train_batch_end

    def pressed(self, batch, logs=None):
        if (output / "alone").exists():
            signal.raise_signal(signal.SIGINT)
        save(self, batch, logs)

    monkeypatch.setattr(callbacks.Checkpointing, "on_train_batch_end", pressed)
    result = call("add-field", folder / "old", folder / "add.gin", "--output", output)
    assert result.exit_code == 130, result.output
    assert result.stderr.splitlines()[-1] == (
        "Interrupted: stopped while temperature was training alone; a resumed run starts "
        f"that part again. Resume it with  atmorep-k run --resume {output}"
    )
    monkeypatch.undo()
    assert call("run", "--resume", output).exit_code == 0
    assert (output / "comparison.json").exists()


@pytest.mark.slow
def test_both_ways_with_adapters_and_rates(folder):
    settings = {
        "ExtendedModel.couple": "both",
        "ExtendedModel.compare": False,
        "Pretraining.adapters": "@LowRankAdapters()",
        "LowRankAdapters.patterns": "['encoder/vorticity/*/mlp/*']",
        "LowRankAdapters.rank": 2,
        "Pretraining.learning_rates": "{'*coupled_*': 10.0}",
        "Pretraining.scoring": None,
    }
    words = [w for name, value in settings.items() for w in ("--set", f"{name}={value}")]
    result = call(
        "add-field", folder / "old", folder / "add.gin", "--output", folder / "both", *words
    )
    assert result.exit_code == 0, result.output
    changed = differences(folder / "old", folder / "both", ["vorticity"])
    assert changed and all("/mlp/" in name for name in changed)
    assert "NOT as in the old file" in result.stdout
    assert "predictions of vorticity: changed by" in result.stdout


@pytest.mark.slow
def test_the_new_field_comes_from_another_store(folder, write_tiny_store):
    coarse = write_tiny_store(folder / "coarse.zarr", levels=(300.0, 700.0, 1000.0), points=(4, 8))
    settings = {
        "WindowDataset.stores": {"temperature": str(coarse)},
        "LEVELS": [300, 700, 1000],
        "WINDOW": (4, 2, 4),
        "TOKEN_SIZE": (2, 1, 2),
        "ExtendedModel.compare": False,
    }
    words = [w for name, value in settings.items() for w in ("--set", f"{name}={value}")]
    output = folder / "other_store"
    result = call("add-field", folder / "old", folder / "add.gin", "--output", output, *words)
    assert result.exit_code == 0, result.output
    assert "predictions of vorticity: identical, bit for bit" in result.stdout
    model = atmorep_k.load_model(output / "model.keras")
    assert model.normalizers["temperature"].num_levels == 3
    assert model.provenance["stores"]["temperature"]["store"] == str(coarse)


@pytest.mark.slow
def test_statistics_of_another_year_travel_with_the_field(folder, write_tiny_store):
    later = write_tiny_store(
        folder / "later.zarr", ("temperature", "vorticity"), start="2021-01-01T00"
    )
    words = ("--set", f"STORE={later}", "--set", "ExtendedModel.compare=False")
    output = folder / "other_year"
    result = call("add-field", folder / "old", folder / "add.gin", "--output", output, *words)
    assert result.exit_code == 0, result.output
    assert differences(folder / "old", output, ["vorticity"]) == []
    old, new = (atmorep_k.load_model(folder / p / "model.keras") for p in ("old", "other_year"))
    means = old.normalizers["vorticity"].mean, new.normalizers["vorticity"].mean
    np.testing.assert_array_equal(*means)
    # The later store has other statistics of vorticity itself: they are not taken.
    vorticity = [f for f in new.fields if f.name == "vorticity"]
    dataset = components.datasets.WindowDataset(str(later))
    dataset.open(vorticity)
    assert not np.array_equal(dataset.normalizers["vorticity"].mean, means[0])


@pytest.mark.slow
def test_saved_models_are_coupled_by_a_run(added, folder):
    lines = TOP.format(store=str(folder / "two.zarr")).splitlines()
    kept = [line for line in lines if line.split(" ")[0] in _COMMON]
    (folder / "couple.gin").write_text("\n".join(["include 'couple_fields.gin'", *kept]) + "\n")
    sources = [str(folder / "old"), str(folder / "new" / "alone")]
    result = call(
        "run", folder / "couple.gin", "--output", folder / "pair", "--set", f"SOURCES={sources}"
    )
    assert result.exit_code == 0, result.output
    words = [line.split()[0] for line in result.stdout.splitlines()]
    assert words[:6] == ["taken", "taken", "new", "new", "trained", "step"]
    pair = atmorep_k.load_model(folder / "pair" / "model.keras")
    assert {f.name: f.couplings for f in pair.fields} == {
        "vorticity": ("temperature",),
        "temperature": ("vorticity",),
    }


_COMMON = (
    "STORE",
    "STEPS",
    "BATCH_SIZE",
    "TrainingSchedule.steps_per_epoch",
    "TrainingSchedule.checkpoint_every",
    "TrainingSchedule.validation_batches",
    "WarmupDecay.warmup_steps",
    "Scoring.num_samples",
    "Scoring.batch_size",
)

MISTAKES = {
    "FIELD=vorticity": "already has the field 'vorticity'",
    "FieldSpec.couplings=['vortisity']": "did you mean 'vorticity'",
    "WINDOW=(6,4,8)": "all fields of a model see the same hours",
    "WINDOW=(4,4,16)": "'temperature'",
    "LEVELS=[500,840]": "did you mean 850",
    "ExtendedModel.couple=all": "ExtendedModel.couple",
    "Pretraining.learning_rates={'*/wind/*': 2.0}": "*/wind/*",
    "STORE=absent.zarr": "absent.zarr",
}


@pytest.mark.parametrize("override", MISTAKES)
def test_a_mistake_is_one_line_and_leaves_nothing(override, folder):
    output = folder / "mistake"
    result = call(
        *("add-field", folder / "old", folder / "add.gin"), "--output", output, "--set", override
    )
    assert result.exit_code == 1
    assert MISTAKES[override] in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout == ""
    assert not output.exists()


def test_a_model_that_is_not_there(folder):
    result = call("add-field", "absent", folder / "add.gin", "--output", folder / "none")
    assert result.exit_code == 1
    assert result.stderr == "Error: no model at absent.\n"
    assert not Path(folder / "none").exists()


def test_a_dry_run_says_what_it_would_take(folder):
    output = folder / "dry"
    result = call("add-field", folder / "old", folder / "add.gin", "--output", output, "--dry-run")
    assert result.exit_code == 0, result.output
    for word in ("parameters", "trained", "memory", "loader", "step"):
        assert any(line.startswith(word) for line in result.stdout.splitlines()), word
    assert not output.exists()
