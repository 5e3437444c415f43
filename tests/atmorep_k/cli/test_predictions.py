"""The commands that use a saved model on a store."""

import os

import pytest
from click.testing import CliRunner

from atmorep_k import cli
from atmorep_k.inference.output import open_prediction


@pytest.fixture
def call(model, tiny_store, tmp_path, monkeypatch):
    """Returns a function that runs a command on the tiny store, in an empty directory."""
    monkeypatch.chdir(tmp_path)

    def call(command, *words):
        arguments = [command, str(model.parent), "--store", str(tiny_store), *words]
        return CliRunner().invoke(cli.main, arguments)

    return call


CALLS = [
    ("forecast", "f.zarr", ("--time", "2020-01-03T06", "--time", "2020-01-02", "--tokens", "1")),
    ("forecast", "f.nc", ("--time", "2020-01-03T06", "--overlap", "1", "2", "--no-members")),
    ("forecast", "f.nc", ("--time", "2020-01-03", "--region", "-60", "60", "-90", "90")),
    ("interpolate", "i.nc", ("--time", "2020-01-03T06", "--time-token", "1")),
    ("reconstruct", "r.zarr", ("--time", "2020-01-03T06", "--ratio", "0.4", "--seed", "3")),
    ("infill", "g.nc", ("--time", "2020-01-03T06", "--block", "0", "60", "0", "90")),
]


@pytest.mark.parametrize(("command", "output", "words"), CALLS)
def test_a_prediction_is_written_drawn_and_scored(call, tmp_path, command, output, words):
    result = call(command, *words, "--batch-size", "2", "--output", output)
    assert result.exit_code == 0, result.output
    stem = output.partition(".")[0]
    picture = f"{stem}_plots/map_{command}_temperature.png"
    assert result.stdout.splitlines() == [output, picture]
    assert sorted(os.listdir(tmp_path)) == sorted([output, f"{stem}_plots"])
    assert (tmp_path / picture).is_file()
    assert "temperature (K)" in result.stderr and "persistence" in result.stderr
    with open_prediction(tmp_path / output) as found:
        assert found.sizes["time"] == words.count("--time")
        assert ("number" in found.dims) == ("--no-members" not in words)
        assert found["temperature"].notnull().any()


def test_a_dry_run_counts_measures_and_writes_nothing(call, tmp_path):
    words = ("--time", "2020-01-03T06", "--time", "2020-01-02", "--output", "f.nc", "--dry-run")
    first, second = (call("forecast", *words, "--batch-size", size) for size in ("1", "2"))
    for result, rows in ((first, 1), (second, 2)):
        assert result.exit_code == 0, result.output
        lines = dict(line.split(maxsplit=1) for line in result.stdout.splitlines())
        assert lines["windows"].endswith(f"for each of 2 times, {rows} at once")
        assert list(lines)[1:] == ["operations", "memory", "loader", "network", "estimate"]
        windows, flops = int(lines["windows"].split()[0]), lines["operations"]
    assert windows > 2
    # However many are predicted at once, the operations are those of all windows.
    assert flops == first.stdout.splitlines()[1].split(maxsplit=1)[1]
    assert not os.listdir(tmp_path)


def test_a_counterfactual_is_written_and_drawn(call, tmp_path):
    words = ("--time", "2020-01-03T06", "--hour", "18", "--task", "interpolate")
    result = call("counterfactual", *words, "--no-members", "--output", "c.nc")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == ["c.nc", "c_plots/map_counterfactual_temperature.png"]
    # An untrained model does not read its token information.
    assert "no difference: the model predicts the same with hour 18" in result.stderr
    with open_prediction(tmp_path / "c.nc") as found:
        assert (found["temperature_difference"] == 0).all()


def test_hours_after_the_record_have_no_scores(call):
    result = call("forecast", "--time", "2020-01-05T23", "--output", "f.nc")
    assert result.exit_code == 0, result.output
    assert "no scores: the store does not cover the predicted hours" in result.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ("--time", "2020-01-03", "--tokens", "2"),
            "tokens must be 1 to 1, for this model, not 2; 'rollout' forecasts further.",
        ),
        (("--time", "2021-01-03"), "2021-01-03T00:00 is not in"),
        (("--time", "2020-01-01"), "the first possible time is 2020-01-01T01:00."),
        (("--time", "2020-01-03", "--region", "0", "20", "0", "90"), "does not fit the region"),
    ],
)
def test_mistakes_are_one_sentence_and_leave_nothing(call, tmp_path, words, sentence):
    result = call("forecast", *words, "--output", "f.nc")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines()[-1].startswith("Error: ") and sentence in result.stderr
    assert not os.listdir(tmp_path)


def test_an_output_is_replaced_only_when_asked(call, tmp_path):
    words = ("--time", "2020-01-03", "--output", "f.nc")
    assert call("forecast", *words).exit_code == 0
    written = (tmp_path / "f.nc").stat().st_mtime_ns
    result = call("forecast", *words)
    assert result.stderr == "Error: f.nc already exists; give another name or --overwrite.\n"
    assert (tmp_path / "f.nc").stat().st_mtime_ns == written
    assert call("forecast", *words, "--overwrite").exit_code == 0
    assert (tmp_path / "f.nc").stat().st_mtime_ns > written
