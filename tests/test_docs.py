"""The pages for users: their configurations load, their commands exist, their code runs."""

import importlib
import itertools
import json
import re
import runpy
import shlex
from pathlib import Path

import numpy as np
import pytest

from atmorep_k._version import __version__

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/*.md")])


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)


def commands(page: Path) -> list[list[str]]:
    """Returns the calls of atmorep-k in a page, as words."""
    return calls("\n".join(blocks(page, "sh")))


def calls(text: str) -> list[list[str]]:
    """Returns the calls of atmorep-k in a script, as words."""
    parts = re.split(r"\n|&&", text.replace("\\\n", " "))
    return [shlex.split(p, comments=True)[1:] for p in parts if p.strip().startswith("atmorep-k")]


def overrides(words: list[str]) -> list[str]:
    return [value for option, value in itertools.pairwise(words) if option == "--set"]


CALLS = [pytest.param(words, id=" ".join(words)) for page in PAGES for words in commands(page)]


@pytest.mark.parametrize("words", CALLS)
def test_commands_in_the_pages_are_valid(words):
    from atmorep_k import config
    from atmorep_k.cli import main

    command, context = main, None
    while hasattr(command, "get_command"):
        command = command.get_command(context, words[0])
        assert command is not None, f"no command {words[0]!r}"
        words = words[1:]
    options = {name for p in command.params for name in (*p.opts, *p.secondary_opts)}
    assert {word for word in words if word.startswith("--")} <= options
    files = [word for word in words if word.startswith("gin/") and word.endswith(".gin")]
    if files:
        assert all((ROOT / file).is_file() for file in files)
        config.load([ROOT / file for file in files], overrides(words))


def test_links_lead_somewhere():
    for page in PAGES:
        for link in re.findall(r"\]\(([^)#]+)", page.read_text()):
            if not link.startswith("http"):
                assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_the_page_on_components_shows_the_example_as_it_is():
    page, example = ROOT / "docs" / "extending.md", ROOT / "examples" / "plugin"
    (code,) = blocks(page, "python")
    assert code == (example / "src" / "atmorep_k_example" / "swath.py").read_text()
    for language, file in (("toml", "pyproject.toml"), ("gin", "swath.gin")):
        (quoted,) = blocks(page, language)
        assert quoted in (example / file).read_text()
    for name in re.findall(r"^\| `(.*?)` \|", page.read_text().split("## ")[0], re.MULTILINE):
        assert (example / name).is_file(), name


def test_the_page_on_components_tells_of_every_kind():
    from atmorep_k import registry

    text = (ROOT / "docs" / "extending.md").read_text()
    told = set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
    others = {"block", "model", "scoring", "specification"}
    assert told == {entry.kind for entry in registry.entries(borrowed=True)} - others
    for name in re.findall(r"`components\.([\w.]+)`", text):
        module, _, cls = f"atmorep_k.components.{name}".rpartition(".")
        assert isinstance(getattr(importlib.import_module(module), cls), type)


@pytest.fixture
def after_the_demo(tmp_path, monkeypatch, make_model, make_field):
    """A directory like the one that the demo leaves, with a tiny model and a tiny `demo`."""
    from atmorep_k.components.datasets import WindowDataset
    from atmorep_k.data.demo import simulate
    from atmorep_k.data.stores.layout import StoreDescription
    from atmorep_k.data.writing.write_store import write_store
    from atmorep_k.earth.variables import variable_info
    from atmorep_k.runs.directory import RunDirectory

    monkeypatch.setenv("ATMOREP_K_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    hours = 24 * simulate.DAYS
    description = StoreDescription(
        simulate.START + np.arange(hours),
        np.array([500.0, 850.0]),
        np.linspace(84.375, -84.375, 16),
        np.arange(32) * 11.25,
        {"vorticity": variable_info("vorticity")},
        {"simulated": True},
    )
    values = 1e-5 * np.random.default_rng(0).standard_normal((hours, 2, 16, 32))
    path = tmp_path / "cache" / f"demo-{simulate.DAYS}-days-{__version__}.zarr"
    write_store(path, description, [{"vorticity": values.astype("float32")}])
    model = make_model([make_field("vorticity", window=(6, 4, 8))])
    WindowDataset("demo").open(model.fields, model.normalizers)
    model.build()
    run = RunDirectory(tmp_path / "runs" / "pretrain_field")
    run.create("STEPS = 700\n")
    run.write_record(steps=700, mesh=[1, 1], processes=1)
    model.save(run.model)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["inference.md", "notebook.md", "tasks.md"])
def test_the_pages_on_using_a_model_can_be_followed(name, after_the_demo):
    names = {}
    for language, text in re.findall(
        r"```(sh|python)\n(.*?)```", (ROOT / "docs" / name).read_text(), re.DOTALL
    ):
        if language == "sh":
            _call(calls(text))
        else:
            exec(compile(text, name, "exec"), names)


SCRIPTS = sorted((ROOT / "examples").glob("*.py"))
# Two days are many rounds for windows of six hours.
SHORTER = {"rollout": ("--hours", "4")}


@pytest.mark.slow
def test_the_examples_can_be_run(after_the_demo, monkeypatch, capsys):
    import matplotlib.pyplot as plt

    from atmorep_k.tasks import QUESTIONS

    plt.switch_backend("agg")
    assert [script.stem for script in SCRIPTS] == sorted(question.name for question in QUESTIONS)
    for script in SCRIPTS:
        monkeypatch.setattr("sys.argv", [str(script), *SHORTER.get(script.stem, ())])
        runpy.run_path(str(script), run_name="__main__")
        assert capsys.readouterr().out.strip(), script.name
        plt.close("all")


@pytest.mark.slow
def test_the_notebook_can_be_run(after_the_demo):
    import matplotlib.pyplot as plt

    plt.switch_backend("agg")
    book = json.loads((ROOT / "examples" / "one_model_many_tasks.ipynb").read_text())
    names = {}
    for cell in book["cells"]:
        if cell["cell_type"] == "code":
            assert not cell["outputs"] and cell["execution_count"] is None
            exec(compile("".join(cell["source"]), cell["id"], "exec"), names)
    assert len(plt.get_fignums()) == 5
    plt.close("all")


def _follow(page, more=lambda call: []):
    """Runs every call of atmorep-k in a page, with more words."""
    _call([[*words, *more(words)] for words in commands(page)])


def _call(lines):
    """Runs calls of atmorep-k; what each prints last is a path."""
    from click.testing import CliRunner

    from atmorep_k.cli import main

    for words in lines:
        result = CliRunner().invoke(main, words)
        assert result.exit_code == 0, result.output
        if words[0] != "inspect" and "--dry-run" not in words:
            assert Path(result.stdout.splitlines()[-1]).exists()


@pytest.fixture
def with_a_small_demo(tmp_path, monkeypatch):
    """An empty directory, and in place of the demo a small store of noise."""
    from atmorep_k.data.demo import simulate
    from atmorep_k.data.stores.layout import StoreDescription
    from atmorep_k.data.writing.write_store import write_store
    from atmorep_k.earth.variables import variable_info

    monkeypatch.setenv("ATMOREP_K_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    hours, names = 24 * simulate.DAYS, ("vorticity", "temperature", "divergence")
    levels = np.array([100.0, 300.0, 500.0, 700.0, 900.0])
    description = StoreDescription(
        simulate.START + np.arange(hours),
        levels,
        np.linspace(84.375, -84.375, 16),
        np.arange(32) * 11.25,
        {name: variable_info(name) for name in names},
        {"simulated": True},
    )
    shape = (hours, len(levels), 16, 32)
    rng = np.random.default_rng(0)
    values = {name: rng.standard_normal(shape, "float32") for name in names}
    path = tmp_path / "cache" / f"demo-{simulate.DAYS}-days-{__version__}.zarr"
    write_store(path, description, [values])


# What makes the page's trainings a matter of seconds.
SMALL = {
    "STEPS": 2,
    "BATCH_SIZE": 2,
    "EMBED_DIM": 32,
    "Encoder.num_layers": 1,
    "UNetDecoder.num_layers": 1,
    "TrainingSchedule.steps_per_epoch": 2,
    "TrainingSchedule.validation_batches": 1,
    "Scoring.num_samples": 2,
    "Scoring.batch_size": 2,
    "Scoring.maskings": "{'forecast': @Forecast()}",
}


def _small(call):
    # Models made of others have their sizes, but for the new field's.
    layers = [name for name in SMALL if name.endswith("num_layers")]
    left_out = {"gin/couple_fields.gin": [*layers, "EMBED_DIM"], "gin/add_field.gin": layers}
    names = next((names for file, names in left_out.items() if file in call), ())
    chosen = {name: value for name, value in SMALL.items() if name not in names}
    return [word for name, value in chosen.items() for word in ("--set", f"{name}={value}")]


@pytest.mark.slow
def test_the_tutorial_on_adding_a_field_can_be_followed(with_a_small_demo):
    page = ROOT / "docs" / "add-a-field.md"
    _follow(page, lambda call: _small(call) if call[0] in ("run", "add-field") else [])
    for code in blocks(page, "python"):
        exec(compile(code, page.name, "exec"), {})
    assert Path("two.keras").exists()


@pytest.fixture
def with_a_released_run(tmp_path, monkeypatch, original, write_run, write_original_store):
    """A directory with a small run and a small store of the original, named as in the page."""
    monkeypatch.chdir(tmp_path)
    tiling = {"tokens": (4, 2, 2), "size": (3, 3, 6)}
    entry = original.field("velocity_u", (), (96, 137), **tiling)
    network = original.Original(original.options([entry]))
    write_run(tmp_path / "models" / "idj8dwr5qj", network, run="j8dwr5qj")
    hours = np.datetime64("2021-02-09T00", "h") + np.arange(48)
    write_original_store(tmp_path / "era5_y1979_2021_res025_chunk8.zarr", hours=hours)


@pytest.mark.slow
def test_the_page_on_original_models_can_be_followed(with_a_released_run):
    pytest.importorskip("torch")
    _follow(ROOT / "docs" / "original-models.md")
    assert Path("velocity_u.weights.tsv").exists()


TOP_FILES = [f for where in ("", "examples/", "published/") for f in ROOT.glob(f"gin/{where}*.gin")]


@pytest.mark.parametrize("file", sorted(TOP_FILES), ids=lambda file: file.name)
def test_every_top_file_builds(file):
    from atmorep_k import config

    assert config.load([file]).build().schedule.steps > 0
