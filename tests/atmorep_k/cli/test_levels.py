"""Every command that asks a model: fields at the surface, on one level, and both at once."""

import numpy as np
import pytest
from click.testing import CliRunner

from atmorep_k import cli
from atmorep_k.data.stores.layout import StoreDescription
from atmorep_k.data.writing.write_store import write_store
from atmorep_k.earth.variables import variable_info
from atmorep_k.inference.output import open_prediction

TIME = "2020-01-03T06"
LEVELS = {"2m_temperature": [0], "temperature": [500]}
CASES = {"surface": ["2m_temperature"], "one level": ["temperature"], "both": list(LEVELS)}


@pytest.fixture(
    scope="module",
    params=[pytest.param(c, marks=[pytest.mark.slow] * (c != "surface")) for c in CASES],
)
def asked(request, tmp_path_factory, make_model, make_field):
    """A store, a model of its fields, untrained, and a forecast of these."""
    from atmorep_k.components.datasets import WindowDataset

    folder, names = tmp_path_factory.mktemp("levels"), CASES[request.param]
    hours = np.datetime64("2020-01-01T00", "h") + np.arange(120)
    latitude, longitude = 90 - 22.5 * (0.5 + np.arange(8)), 22.5 * np.arange(16)
    level = [500.0] if "temperature" in names else []
    variables = {name: variable_info(name) for name in names}
    grid = hours, np.array(level), latitude, longitude
    rng = np.random.default_rng(0)
    values = {n: rng.normal(280, 5, (120, 1, 8, 16)).astype("float32") for n in names}
    write_store(folder / "store.zarr", StoreDescription(*grid, variables, {}), [values])
    model = make_model([make_field(name, LEVELS[name]) for name in names])
    WindowDataset(str(folder / "store.zarr")).open(model.fields, model.normalizers)
    model.build()
    model.save(folder / "model.keras")
    call(folder, "forecast", "--overlap", "1", "1", "--output", folder / "forecast.nc")
    return folder, names


def call(folder, command, *words):
    """Runs a command that asks the model."""
    options = ["--store", folder / "store.zarr", "--time", TIME]
    return run(command, folder / "model.keras", *options, *words)


def run(*words):
    result = CliRunner().invoke(cli.main, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


PREDICTIONS = {
    "interpolate": (),
    "reconstruct": (),
    "rollout": ("--hours", "5"),
    "rollout of the mean": ("--hours", "5", "--feed", "mean"),
    "point": ("--at", "50", "10"),
    "infill": ("--block", "0", "60", "0", "90"),
    "counterfactual": ("--hour", "18"),
    "correct": ("--truth",),
}


@pytest.mark.parametrize("task", PREDICTIONS)
def test_a_prediction_has_the_levels_of_its_fields(asked, tmp_path, task):
    folder, names = asked
    words, output = list(PREDICTIONS[task]), tmp_path / "found.zarr"
    if task == "correct":
        words.append(folder / "store.zarr")
    call(folder, task.split()[0], *words, "--output", output)
    with open_prediction(output) as found:
        assert ("level" in found.coords) == ("temperature" in names)
        for name in names:
            points = ["place"] if task == "point" else ["latitude", "longitude"]
            level = ["level"] if name == "temperature" else []
            dims = ["time", "prediction_timedelta", "number", *level, *points]
            assert list(found[name].dims) == dims
            assert found[name].notnull().any()


def test_a_table_of_places_has_the_levels_of_its_fields(asked, tmp_path):
    call(asked[0], "point", "--at", "50", "10", "--output", tmp_path / "places.csv")
    header = (tmp_path / "places.csv").read_text().splitlines()[0].split(",")
    assert ("level" in header) == ("temperature" in asked[1])


@pytest.mark.parametrize("field", LEVELS)
def test_tokens_are_of_the_levels_of_their_field(asked, tmp_path, field):
    folder, names = asked
    if field not in names:
        pytest.skip("the model lacks this field")
    chosen = ("--field", field)
    call(folder, "features", *chosen, "--output", tmp_path / "features.nc")
    call(folder, "attention", *chosen, "--at", "50", "10", "--output", tmp_path / "attention.nc")
    for output in ("features.nc", "attention.nc"):
        with open_prediction(tmp_path / output) as found:
            assert found["level"].values.tolist() == LEVELS[field]


def test_a_forecast_is_scored_and_reported(asked, tmp_path):
    folder, names = asked
    forecast, scores = folder / "forecast.nc", tmp_path / "scores"
    result = run("evaluate", forecast, "--truth", folder / "store.zarr", "--output", scores)
    assert all(name in result.stderr for name in names)
    run("report", scores, forecast, "--output", tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert all(name.replace("_", " ") in page for name in names)
