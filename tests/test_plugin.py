"""The example of a package that brings components: installed, used, and missed."""

import csv
import importlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from scipy.stats import kstest

from atmorep_k.cli import main
from atmorep_k.errors import UserError

ROOT = Path(__file__).parents[1]
PLUGIN = ROOT / "examples" / "plugin"
COMMAND = """
from atmorep_k.cli import main
from blank_pictures import blank_pictures
with blank_pictures():
    main()
"""
SMALL = {
    "FIELD": "temperature",
    "LEVELS": "[500, 850]",
    "WINDOW": "(4, 4, 8)",
    "STEP_HOURS": "1",
    "TOKEN_SIZE": "(2, 2, 2)",
    "EMBED_DIM": "24",
    "STEPS": "3",
    "BATCH_SIZE": "2",
    "GaussianTail.num_members": "3",
    "Scoring.num_samples": "2",
    "TrainingSchedule.validation_batches": "1",
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Directory into which pip has installed the package."""
    pytest.importorskip("setuptools", minversion="77", reason="the build backend is not installed")
    pytest.importorskip("pip", reason="pip is not installed")
    folder = tmp_path_factory.mktemp("plugin")
    # A copy, as building leaves files beside the sources.
    shutil.copytree(PLUGIN, folder / "source", ignore=shutil.ignore_patterns("*.egg-info", "build"))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    options = ["--no-build-isolation", "--target", folder / "site", folder / "source"]
    subprocess.run([*pip, *options], check=True)
    return folder / "site"


@pytest.fixture(scope="module")
def python(installed):
    """Function that runs Python code with the package installed; returns what it prints."""
    support = str(ROOT / "tests" / "support")
    path = os.pathsep.join(filter(None, [str(installed), support, os.environ.get("PYTHONPATH")]))

    def run(code, *arguments):
        environment = {**os.environ, "PYTHONPATH": path}
        command = [sys.executable, "-c", code, *map(str, arguments)]
        # Elsewhere: in the repository Python would find the package's sources before it.
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, cwd=installed
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="module")
def trained(python, tiny_store, tmp_path_factory):
    """Directory of a run of the example's configuration on a tiny store."""
    output = tmp_path_factory.mktemp("runs") / "swath"
    values = {"STORE": tiny_store, **SMALL}
    options = [word for name, value in values.items() for word in ("--set", f"{name}={value}")]
    printed = python(COMMAND, "run", PLUGIN / "swath.gin", "--output", output, *options)
    assert printed.splitlines()[-1] == str(output)
    return output


@pytest.mark.slow
def test_the_components_are_listed(python):
    rows = json.loads(python(COMMAND, "components", "--json"))
    found = {row["name"]: row for row in rows if row["module"].startswith("atmorep_k_example.")}
    assert {name: row["kind"] for name, row in found.items()} == {
        "GaussianTail": "tail",
        "Swath": "masking",
    }
    assert [p["name"] for p in found["Swath"]["parameters"]] == ["width", "slant", "drift"]


@pytest.mark.slow
def test_its_configuration_trains_and_scores(trained):
    with (trained / "history.csv").open(newline="") as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file)]
    assert len(losses) == 3
    assert np.isfinite(losses).all()
    scores = json.loads((trained / "scores.json").read_text())
    assert {score["task"] for score in scores} == {"masked", "forecast"}


@pytest.mark.slow
def test_a_saved_model_opens_with_one_import(python, trained):
    code = """
import sys
import atmorep_k
import keras
model = keras.saving.load_model(sys.argv[1])
tail = model.part("tail", "temperature")
print(type(tail).__module__, tail.num_members)
"""
    assert python(code, trained / "model.keras").split() == [
        "atmorep_k_example.gaussian_tail",
        "3",
    ]


@pytest.mark.slow
def test_without_the_package_the_failure_is_one_sentence(trained, tiny_store, tmp_path):
    options = ["--store", tiny_store, "--time", "2020-01-03T00", "--output", tmp_path / "f.nc"]
    result = CliRunner().invoke(main, [str(a) for a in ("forecast", trained, *options)])
    (sentence,) = result.stderr.splitlines()
    assert result.exit_code == 1
    assert sentence.startswith("Error: ")
    assert "model.keras holds 'GaussianTail' of atmorep_k_example" in sentence
    assert "install the package" in sentence
    assert not os.listdir(tmp_path)
    result = CliRunner().invoke(main, ["config", "check", str(PLUGIN / "swath.gin")])
    (sentence,) = result.stderr.splitlines()
    assert "unknown component 'GaussianTail'" in sentence


@pytest.mark.slow
def test_a_model_can_be_inspected_without_the_package(trained):
    result = CliRunner().invoke(main, ["inspect", str(trained)])
    assert result.exit_code == 0
    assert "GaussianTail" in result.stdout


@pytest.fixture
def parts(monkeypatch):
    """The package's module, imported from its sources; forgotten again by registry and Keras."""
    from atmorep_k.registry import gin_names, registered

    objects = keras.saving.get_custom_objects()
    before = dict(objects)
    monkeypatch.setattr(registered, "by_name", dict(registered.by_name))
    monkeypatch.setattr(gin_names, "_known", dict(gin_names._known))
    monkeypatch.syspath_prepend(PLUGIN / "src")
    yield importlib.import_module("atmorep_k_example")
    for name in [name for name in sys.modules if name.startswith("atmorep_k_example")]:
        del sys.modules[name]
    objects.clear()
    objects.update(before)


def test_a_swath_is_a_strip_that_moves(parts):
    tokens = np.ones((2, 3, 4, 5, 6), np.float32)
    masking = parts.Swath(width=2, slant=1, drift=2)
    masked = masking(tokens, (1, 2, 3), np.random.default_rng(0))
    visible = masked.tokens[..., 0]
    assert masked.index.shape == (2, masking.num_slots((3, 4, 5))) == (2, 3 * 4 * 3)
    np.testing.assert_array_equal(visible.sum(axis=-1), 2)
    np.testing.assert_array_equal(visible[0], visible[1])
    np.testing.assert_array_equal(visible[:, :, 1:], np.roll(visible, 1, axis=-1)[:, :, :-1])
    np.testing.assert_array_equal(visible[:, 1:], np.roll(visible, -2, axis=-1)[:, :-1])
    np.testing.assert_array_equal(masked.target, 1)


def test_swaths_lie_anywhere(parts):
    masking, seen = parts.Swath(), np.zeros(5)
    for seed in range(50):
        index, _ = masking.choose(np.random.default_rng(seed), 1, (1, 1, 5))
        seen[np.setdiff1d(np.arange(5), index[0])] += 1
    assert seen.sum() == 50
    assert (seen > 0).all()


@pytest.mark.parametrize(("width", "message"), [(0, "at least 1"), (4, "at most 3")])
def test_a_swath_that_hides_nothing_or_all(parts, width, message):
    with pytest.raises(UserError, match=message):
        parts.Swath(width).num_slots((2, 2, 4))


@pytest.mark.backend
@pytest.mark.parametrize("members", [2, 5, 16])
def test_gaussian_members_have_the_predicted_mean_and_deviation(parts, members):
    tail = parts.GaussianTail(num_members=members, token_values=3)
    tail.build((None, None, None, 8))
    tail.mean.bias.assign([1.0, -2.0, 0.0])
    tail.deviation.bias.assign([0.0, 1.0, -3.0])
    values = np.asarray(keras.ops.convert_to_numpy(tail(np.zeros((2, 1, 4, 8), "float32"))))
    assert values.shape == (2, 1, 4, members, 3)
    deviation = np.log1p(np.exp([0.0, 1.0, -3.0]))
    np.testing.assert_allclose(values.mean(axis=-2)[0, 0, 0], [1, -2, 0], atol=1e-6)
    np.testing.assert_allclose(values.std(axis=-2, ddof=1)[1, 0, 3], deviation, rtol=1e-5)
    assert (np.diff(values, axis=-2) > 0).all()


def test_many_gaussian_members_are_a_gaussian_sample(parts):
    places = parts.gaussian_tail.places_of_members(1001)
    assert kstest(places, "norm").statistic < 2e-3


@pytest.mark.backend
def test_a_gaussian_tail_can_be_widened_without_training(parts):
    from atmorep_k.registry import clone

    few = parts.GaussianTail(num_members=4, token_values=2)
    many = clone(few, num_members=50)
    for tail in (few, many):
        tail.build((None, None, None, 6))
    many.set_weights(few.get_weights())
    x = np.random.default_rng(0).standard_normal((1, 1, 3, 6)).astype("float32")
    means = [keras.ops.convert_to_numpy(tail(x)).mean(axis=-2) for tail in (few, many)]
    np.testing.assert_allclose(*means, atol=1e-5)
    with pytest.raises(UserError, match="at least 2, not 1"):
        parts.GaussianTail(num_members=1)
