import json
import os
import subprocess
import sys
from importlib.metadata import version

import click
import pytest
from click.testing import CliRunner

from atmorep_k import cli
from atmorep_k.errors import UserError

TOP = "run.task = @ToyTask()\nToyTask.steps = %STEPS\nSTEPS = 40\n"


@pytest.fixture
def call():
    """Returns a function that runs the command line in this process."""
    return lambda *arguments: CliRunner().invoke(cli.main, arguments)


@pytest.fixture
def failing(monkeypatch):
    """Returns a function that adds a command `failing`, which raises what it is given."""

    def add(error):
        @click.command()
        def failing():
            """Fail."""
            raise error

        monkeypatch.setitem(cli.main.commands, "failing", failing)

    return add


@pytest.mark.parametrize("argument", ["--help", "--version", "componets"])
def test_help_imports_nothing_heavy(argument, tmp_path):
    code = (
        "import json, sys\nfrom atmorep_k.cli import main\n"
        "try:\n    main([sys.argv[1]])\n"
        "except SystemExit:\n    print('\\n' + json.dumps(sorted(sys.modules)))\n"
    )
    # From other backends tests hide TensorFlow, so that a process could not load it.
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow"}
    call = [sys.executable, "-c", code, argument]
    run = subprocess.run(call, capture_output=True, text=True, cwd=tmp_path, env=environment)
    loaded = {name.partition(".")[0] for name in json.loads(run.stdout.splitlines()[-1])}
    heavy = {"keras", "jax", "torch", "tensorflow", "numpy", "xarray", "zarr", "gin", "matplotlib"}
    assert not loaded & (heavy | {"rich", "typeguard"})


def test_help_lists_every_command(call):
    result = call("--help")
    assert result.exit_code == 0
    said = " ".join(result.stdout.split())
    for name, command in cli.main.commands.items():
        line = command.short_help or command.help.partition("\n\n")[0]
        assert f" {name} {' '.join(line.split())}" in said


@pytest.mark.parametrize("name", list(cli.main.commands))
def test_every_listed_command_exists(call, name):
    result = call(name, "--help")
    assert result.exit_code == 0
    assert f"Usage: main {name}" in result.stdout


def test_version(call):
    assert call("--version").stdout == f"atmorep-k {version('atmorep-k')}\n"


def test_misspelt_command_is_a_usage_error(call):
    result = call("componets")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "unknown command 'componets'; did you mean 'components'?" in result.stderr


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (UserError("the store has no field 'x'."), "the store has no field 'x'."),
        (OSError(28, "No space left on device", "a/b"), "a/b: No space left on device"),
        (PermissionError(13, "Permission denied"), "Permission denied"),
        (FileNotFoundError("no such store"), "no such store"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_a_users_mistake_is_one_line_on_stderr(call, failing, error, sentence):
    failing(error)
    result = call("failing")
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", f"Error: {sentence}\n")


@pytest.mark.parametrize("option", ["-v", "--verbose"])
def test_verbose_adds_the_traceback(call, failing, option):
    failing(UserError("a mistake."))
    result = call(option, "failing")
    assert result.exit_code == 1
    assert result.stderr.startswith("Traceback")
    assert "raise error" in result.stderr
    assert result.stderr.endswith("Error: a mistake.\n")


def test_interrupt_is_exit_code_130(call, failing):
    failing(KeyboardInterrupt())
    result = call("failing")
    assert result.exit_code == 130
    assert "Traceback" not in result.stderr


def test_a_fault_of_the_program_is_not_hidden(call, failing):
    failing(ZeroDivisionError("oh"))
    assert isinstance(call("failing").exception, ZeroDivisionError)


def test_config_show_prints_what_can_be_run_again(call, toys, gin_files):
    gin_files(top=TOP)
    result = call("config", "show", "top.gin", "--set", "STEPS=7", "--set", "ToyTask.mode=slow")
    assert result.exit_code == 0
    assert "STEPS = 7\n" in result.stdout
    assert "ToyTask.mode = 'slow'\n" in result.stdout
    gin_files(again=result.stdout)
    assert call("config", "show", "again.gin").stdout == result.stdout


def test_config_check(call, toys, gin_files):
    gin_files(top=TOP, more="STEPS = 3\n")
    result = call("config", "check", "top.gin", "more.gin")
    assert (result.exit_code, result.stdout) == (0, "ok: 3 bindings in 2 files\n")
    result = call("config", "check", "top.gin", "--set", "STEP=3")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "Error: --set STEP=3: the macro STEP is never used; did you mean 'STEPS'?\n"
    )


def test_config_needs_a_file(call):
    assert call("config", "check").exit_code == 2


def test_components_lists_kind_name_description_and_parameters(call, toys):
    result = call("components", "--kind", "toy")
    assert result.exit_code == 0
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert "toy ToyPart A part of a task." in lines
    assert "name: str" in lines
    assert "size: Sequence[int] = (1,)" in lines
    assert not any("ToyTask" in line for line in lines)


def test_components_as_json(call, toys):
    rows = json.loads(call("components", "--json").stdout)
    row = next(row for row in rows if row["name"] == "ToyPart")
    assert (row["kind"], row["description"]) == ("toy", "A part of a task.")
    assert row["parameters"][:2] == [
        {"name": "name", "type": "str", "required": True, "default": None, "meaning": None},
        {
            "name": "size",
            "type": "Sequence[int]",
            "required": False,
            "default": "(1,)",
            "meaning": None,
        },
    ]
    kinds = [row["kind"] for row in rows]
    assert kinds == sorted(kinds)
    assert {"optimizer", "specification", "task"} <= set(kinds)


def test_components_show_what_each_parameter_means(call):
    lines = call("components", "--kind", "tail").stdout.splitlines()
    line = next(line for line in lines if "num_members: int" in line)
    assert line.partition("  # ")[2].strip()
    rows = json.loads(call("components", "--json").stdout)
    ours = [row for row in rows if row["module"].startswith("atmorep_k.components.")]
    silent = [f"{r['name']}.{p['name']}" for r in ours for p in r["parameters"] if not p["meaning"]]
    assert len(ours) > 30
    assert not silent


def test_a_reference_to_another_component_is_replaced_by_its_words(call):
    rows = {row["name"]: row for row in json.loads(call("components", "--json").stdout)}

    def meaning(component, parameter):
        return next(p["meaning"] for p in rows[component]["parameters"] if p["name"] == parameter)

    words = meaning("MLP", "output_activation").rstrip(".")
    assert "GELU" in words
    assert words in meaning("TransformerBlock", "output_activation")


def test_the_meaning_of_a_task_parameter_is_the_help_of_its_option(call):
    rows = {row["name"]: row for row in json.loads(call("components", "--json").stdout)}
    parameters = {p["name"]: p for p in rows["forecast"]["parameters"]}
    assert parameters["region"]["meaning"] in " ".join(call("forecast", "--help").stdout.split())


def test_components_are_not_cut_when_piped(call, toys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    lines = call("components", "--kind", "specification").stdout.splitlines()
    assert any("normalization: 'global' or 'grid_point' = 'global'" in line for line in lines)


def test_unknown_kind_names_the_nearest(call, toys):
    result = call("components", "--kind", "maskin")
    assert result.exit_code == 1
    assert "unknown kind 'maskin'; did you mean 'masking'?" in result.stderr


def test_a_backend_that_is_not_installed_is_one_sentence(call, failing):
    failing(ModuleNotFoundError("No module named 'torch'", name="torch"))
    result = call("failing")
    assert result.exit_code == 1
    assert result.stderr == "Error: torch is not installed: run  pip install 'atmorep-k[torch]'\n"
    failing(ModuleNotFoundError("No module named 'mine'", name="mine"))
    assert isinstance(call("failing").exception, ModuleNotFoundError)


def test_a_backend_that_there_is_not_is_one_sentence(call, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jaxx")
    result = call("components")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: unknown KERAS_BACKEND 'jaxx'; did you mean 'jax'?")
