"""`atmorep-k run` and `inspect` as a user calls them."""

import csv
import json
import os

import pytest
from click.testing import CliRunner

from atmorep_k import config
from atmorep_k.cli import main
from atmorep_k.model.declared import count_parameters
from atmorep_k.runs.directory import RunDirectory

pytestmark = pytest.mark.rendered


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Function that runs the command line in this process, in an empty directory."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def done(tmp_path_factory, tiny_config):
    """A finished run: its directory and what the command printed."""
    folder = tmp_path_factory.mktemp("done")
    (folder / "top.gin").write_text(tiny_config())
    output = folder / "deep" / "run"
    result = CliRunner().invoke(main, ["run", str(folder / "top.gin"), "--output", str(output)])
    return RunDirectory(output), result


@pytest.fixture
def top(tmp_path, tiny_config):
    path = tmp_path / "top.gin"
    path.write_text(tiny_config())
    return path


def one_sentence(result):
    lines = result.stderr.splitlines()
    assert lines[-1].startswith("Error: ")
    assert len(lines) == 1, lines
    assert result.stdout == ""
    assert result.exit_code == 1
    return lines[-1]


def test_the_last_line_of_output_is_the_runs_path(done):
    run, result = done
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines()[-1] == str(run.path)


def test_a_run_directory_is_complete(done):
    run, _ = done
    names = {path.name for path in run.path.iterdir()}
    files = {
        "model.keras",
        "config.gin",
        "run.json",
        "history.csv",
        "watch.csv",
        "scores.json",
        "plots",
    }
    assert names == files | {"checkpoints"}
    record = json.loads(run.record.read_text())
    assert set(record["timings"]) == {"training_seconds", "scoring_seconds"}
    plots = {path.name for path in (run.path / "plots").iterdir()}
    assert "loss.png" in plots
    assert "map_forecast_temperature.png" in plots
    assert "ranks_temperature.png" in plots


def test_scores_are_records(done):
    scores = json.loads((done[0].path / "scores.json").read_text())
    assert {s["task"] for s in scores} == {"masked", "forecast", "interpolate", "infill"}
    assert {s["field"] for s in scores} == {"temperature"}
    assert {"rmse", "crps", "spread_skill", "normalised_mse"} <= {s["metric"] for s in scores}
    assert {"ensemble", "climatology", "persistence"} <= {s["model"] for s in scores}
    keys = {"task", "field", "level", "metric", "model", "value", "units"}
    assert all(keys <= set(s) <= keys | {"lead_time_hours"} for s in scores)


@pytest.mark.slow
def test_the_configuration_runs_again_to_the_same_losses(done, call, tmp_path):
    run, _ = done
    assert call("config", "show", run.config).stdout == run.config.read_text()
    result = call("run", run.config, "--set", "STEPS=2", "--output", "again")
    assert result.exit_code == 0, result.stderr
    losses = []
    for path in (run.path, tmp_path / "again"):
        with (path / "history.csv").open(newline="") as file:
            losses.append([row["loss"] for row in csv.DictReader(file)][:2])
    assert losses[0] == losses[1]


def test_inspect(done, call):
    run, _ = done
    result = call("inspect", run.path)
    assert result.exit_code == 0
    assert "temperature" in result.stdout
    found = json.loads(call("inspect", run.model, "--json").stdout)
    assert [field["name"] for field in found["fields"]] == ["temperature"]
    assert found["provenance"]["title"] == "a travelling wave"
    assert one_sentence(call("inspect", "absent")) == "Error: no model at absent."


def test_inspect_draws(done, call, tmp_path):
    run, _ = done
    result = call("inspect", run.path, "--diagram", "model.svg")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "model.svg"
    assert (tmp_path / "model.svg").read_text().rstrip().endswith("</svg>")
    result = call("inspect", run.path, "--json", "--diagram", "model.png")
    assert json.loads(result.stdout)["path"] == str(run.model)
    assert result.stderr.splitlines()[-1] == "model.png"


def test_inspect_draws_no_other_kinds_of_files(done, call, tmp_path):
    run, _ = done
    sentence = one_sentence(call("inspect", run.path, "--diagram", "model.jpg"))
    assert ".svg, .png or .pdf" in sentence
    assert "cannot write" in one_sentence(call("inspect", run.path, "--diagram", "no/model.svg"))
    assert not list(tmp_path.iterdir())


def test_an_existing_output_is_refused(done, call, top):
    run, _ = done
    before = sorted(run.path.rglob("*"))
    message = one_sentence(call("run", top, "--output", run.path))
    assert f"{run.path} already exists: choose another --output" in message
    assert sorted(run.path.rglob("*")) == before


def test_a_dry_run_trains_nothing(call, top, tmp_path):
    result = call("run", top, "--dry-run")
    assert result.exit_code == 0, result.stderr
    for word in ("parameters", "memory", "  batch", "operations", "loader", "step"):
        assert any(line.startswith(word) for line in result.stdout.splitlines()), word
    assert os.listdir(tmp_path) == ["top.gin"]


def test_a_dry_run_needs_no_store(call, top):
    result = call("run", top, "--dry-run", "--set", "STORE=absent.zarr")
    assert result.exit_code == 0
    assert "parameters" in result.stdout
    assert "not measured" in result.stdout


# Those of 2024 and of vorticity stand in files and logs of the original; the others follow from
# the published sizes.
PUBLISHED = {
    "velocity_u_2024": 117_656_336,
    "vorticity_2023": 679_739_664,
    "multi6_2024": 741_136_272,
    "multi3_2023": 1_620_705_808,
    "multi_velocity_2023": 2_994_144_144,
    "multi_vorticity_2023": 3_197_502_352,
}


@pytest.mark.parametrize(
    ("name", "count"),
    [
        pytest.param(*item, id=item[0], marks=[pytest.mark.slow] if item[1] > 3e8 else [])
        for item in PUBLISHED.items()
    ],
)
def test_published_models(name, count):
    task = config.load([f"published/{name}.gin"]).build()
    assert count_parameters(task.model) == count - 144


def test_a_published_model_is_counted_as_the_original_does(call):
    result = call("run", "published/velocity_u_2024.gin", "--dry-run")
    assert result.exit_code == 0
    count = PUBLISHED["velocity_u_2024"]
    assert f"parameters       {count - 144:,}\n" in result.stdout
    assert f"{count:,} as the original counts" in result.stdout


MISTAKES = {
    "Pretraining.loss=@KernelCRSP()": "did you mean 'KernelCRPS'",
    "Encoder.num_layer=2": "did you mean 'num_layers'",
    "FIELD=temprature": "did you mean 'temperature'",
    "LEVELS=[500,840]": "did you mean 850",
    "TOKEN_SIZE=(3,2,4)": "do not tile the window",
    "STORE=absent.zarr": "absent.zarr",
    "WindowDataset.train_period=('2021-01','2021-02')": "validation_period is not",
    "STEPS=0": "TrainingSchedule.steps must be at least 1",
    "EMBED_DIM=25": "25 channels are not divisible by 2 heads",
    "Forecast.num_tokens=2": "would mask the whole window",
}


@pytest.mark.parametrize("override", MISTAKES)
def test_one_mistake_is_one_line_and_leaves_nothing(override, call, top, tmp_path):
    message = one_sentence(call("run", top, "--output", "run", "--set", override))
    assert MISTAKES[override] in message
    assert os.listdir(tmp_path) == ["top.gin"]


def test_an_output_that_cannot_be_written(call, top, tmp_path):
    (tmp_path / "file").write_text("")
    message = one_sentence(call("run", top, "--output", "file/run"))
    assert "cannot write file/run" in message


def test_only_a_run_can_be_resumed(call, tmp_path):
    assert "is not a run" in one_sentence(call("run", "--resume", tmp_path))


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["top.gin", "--resume", "x"],
        ["--resume", "x", "--output", "y"],
        ["--resume", "x", "--dry-run"],
    ],
)
def test_usage(arguments, call):
    result = call("run", *arguments)
    assert result.exit_code == 2
    assert "give either FILE" in result.stderr
