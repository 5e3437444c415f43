"""Commands that ask a model, as tasks of gin files."""

import inspect
import os
from pathlib import Path

import pytest
import xarray as xr
from click.testing import CliRunner

import atmorep_k
from atmorep_k import cli, config, registry
from atmorep_k.errors import UserError
from atmorep_k.tasks import QUESTIONS, Forecast

GIN = Path(__file__).parents[3] / "gin" / "tasks"


@pytest.fixture
def call(model, tiny_store, tmp_path, monkeypatch):
    """Returns a function that runs the gin file of a task on the tiny store."""
    monkeypatch.chdir(tmp_path)

    def call(task, *words):
        macros = [f"MODEL={model}", f"STORE={tiny_store}", "TIMES=['2020-01-03T06']"]
        values = [word for macro in macros for word in ("--set", macro)]
        return CliRunner().invoke(cli.main, ["run", str(GIN / f"{task}.gin"), *values, *words])

    return call


def test_there_is_a_file_for_each_task():
    assert sorted(file.stem for file in GIN.glob("*.gin")) == sorted(
        question.name for question in QUESTIONS
    )


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_file_asks_the_question_of_its_name(question):
    asked = config.load([GIN / f"{question.name}.gin"]).build()
    assert type(asked) is question
    # What is given suits the command, too: numbers, choices, how many of them.
    command = cli.main.get_command(None, question.name)
    given = {name: value for name, value in vars(asked).items() if value is not None}
    given.pop("progress", None)
    with command.make_context(question.name, [], default_map=given) as context:
        for name, value in given.items():
            taken = context.params[name]
            if taken is not None and not isinstance(taken, Path):
                assert taken == type(taken)(value), name


@pytest.mark.parametrize("question", QUESTIONS)
def test_function_command_and_file_take_the_same(question):
    parameters = set(inspect.signature(question).parameters)
    assert parameters == set(inspect.signature(getattr(atmorep_k, question.name)).parameters)
    of_command = {parameter.name for parameter in cli.main.get_command(None, question.name).params}
    assert of_command - {"dry_run"} == parameters - {"progress"}
    (entry,) = (e for e in registry.entries("task", borrowed=True) if e.name == question.name)
    assert set(entry.parameters) == parameters


def test_a_misspelt_parameter_gets_the_nearest_name():
    with pytest.raises(UserError, match=r"of forecast 'regions'; did you mean 'region'\?"):
        atmorep_k.forecast("model", "demo", ["2000-01-19"], regions=(0, 1, 2, 3))


def test_the_answer_is_that_of_the_command(call, model, tiny_store, tmp_path):
    result = call("forecast", "--output", "f.nc", "--set", "forecast.overlap=(1, 0)")
    assert result.exit_code == 0, result.output
    words = ["forecast", str(model), "--store", str(tiny_store), "--time", "2020-01-03T06"]
    words += ["--overlap", "1", "0", "--output", "g.nc"]
    plain = CliRunner().invoke(cli.main, words)
    assert result.stdout.splitlines() == [
        *(line.replace("g", "f", 1) for line in plain.stdout.splitlines()[:1]),
        "f_plots/map_forecast_temperature.png",
        "f_config.gin",
    ]
    assert "persistence" in result.stderr
    with xr.open_dataset("f.nc") as one, xr.open_dataset("g.nc") as other:
        assert one.identical(other)
    # What is kept runs again as it is: nothing of it depends on the file it came from.
    assert config.load(["f_config.gin"]).build() == Forecast(
        str(model),
        str(tiny_store),
        ["2020-01-03T06"],
        output="f.nc",
        tokens=1,
        overlap=(1, 0),
    )


def test_a_dry_run_is_that_of_the_command_and_leaves_nothing(call, tmp_path, monkeypatch):
    told = []

    def estimate(question):
        told.append((question.model, question.times))
        return ["a second"]

    monkeypatch.setattr("atmorep_k.costs.prediction.estimate_forecast", estimate)
    result = call("forecast", "--dry-run")
    assert (result.exit_code, result.stdout) == (0, "a second\n"), result.output
    assert told[0][1] == ["2020-01-03T06"] and not os.listdir(tmp_path)


@pytest.mark.parametrize(
    ("task", "words", "sentence"),
    [
        (
            "forecast",
            ("--set", "forecast.token=1"),
            "--set forecast.token=1: unknown parameter of forecast 'token'; did you mean 'tokens'?",
        ),
        (
            "forecast",
            ("--set", "TIMES=2020-01-03"),
            "must be Sequence[str], not '2020-01-03'; write ['2020-01-03'].",
        ),
        ("forecast", ("--set", "forecast.tokens=2"), "tokens must be 1 to 1, for this model"),
        ("rollout", ("--dry-run",), "'rollout' has no --dry-run: it checks everything before"),
        ("forecast", ("--profile", "3"), "--profile measures the steps of a training; 'forecast'"),
        (
            "infill",
            ("--set", "infill.block=(0, 60)"),
            "a region needs (south, north, west, east) in degrees",
        ),
        ("point", ("--set", "point.file='p.csv'"), "point: give either --at LAT LON or --places"),
    ],
)
def test_mistakes_are_one_sentence_and_leave_nothing(call, tmp_path, task, words, sentence):
    result = call(task, *words)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines()[-1].startswith("Error: ") and sentence in result.stderr
    assert not os.listdir(tmp_path)


def test_an_unknown_task_gets_the_nearest_name(tmp_path):
    file = tmp_path / "f.gin"
    file.write_text("run.task = @forcast()\n")
    # A masking is called Forecast.
    with pytest.raises(UserError, match=r"component 'forcast'; did you mean 'forecast'\?"):
        config.load([file])
