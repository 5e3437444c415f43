"""A finished run that was never trained, with scores that are known, and an evaluation."""

import csv
import json

import numpy as np
import pytest
import xarray as xr

from atmorep_k.figures import plots
from atmorep_k.runs.directory import HISTORY_COLUMNS, RunDirectory

PLOTS = ("map_forecast_temperature", "ranks_temperature", "lead_times_temperature", "scores")
# RMSE and CRPS of the model and its baselines.
VALUES = {"ensemble": 1.5, "persistence": 3.0, "climatology": 1.2}


def records():
    """Returns scores as in `scores.json`: a forecast of two hours, and random tokens."""
    for task, leads in (("forecast", ({}, {"lead_time_hours": 1.0})), ("masked", ({},))):
        for level in (500, 850, "all"):
            for lead in leads:
                common = {"task": task, "field": "temperature", "level": level, **lead}
                for metric in ("rmse", "crps"):
                    for model, value in VALUES.items():
                        score = {"metric": metric, "model": model, "value": value, "units": "K"}
                        yield common | score


@pytest.fixture
def make_run(tmp_path):
    """Function (name, steps) -> a `RunDirectory` that has made so many of 200 steps."""

    def make(name="run", steps=60):
        run = RunDirectory(tmp_path / name)
        run.create("STEPS = 200\n")
        store = {"store": "a<b>.zarr", "units": {"temperature": "K"}}
        versions = {"backend": "jax", "keras": "3.15.1"}
        timings = {"training_seconds": 150.0}
        run.write_record(steps=200, mesh=[1, 1], processes=1, store=store, versions=versions)
        run.write_record(seed=7, command="atmorep-k run x.gin", timings=timings)
        with run.history.open("a", newline="") as file:
            writer = csv.DictWriter(file, HISTORY_COLUMNS)
            for step in range(1, steps + 1):
                row = {"step": step, "loss": 1 / step, "learning_rate": 1e-3, "seconds": step}
                held_out = 0.5 if step % 20 == 0 else ""
                writer.writerow({**row, "val_loss": held_out, "samples_per_second": 8})
        return run

    return make


@pytest.fixture(scope="session")
def saved_model(tmp_path_factory, tiny_store, make_model, make_field):
    """Path of a model of `tiny_store`, not trained."""
    from atmorep_k.components.datasets import WindowDataset

    model = make_model([make_field()])
    WindowDataset(str(tiny_store)).open(model.fields, model.normalizers)
    model.build()
    path = tmp_path_factory.mktemp("model") / "model.keras"
    model.save(path)
    return path


@pytest.fixture
def finished(make_run, saved_model):
    """A run with a model, scores and pictures."""
    run = make_run("run <img src=x onerror=alert(1)>", steps=200)
    run.model.write_bytes(saved_model.read_bytes())
    run.scores.write_text(json.dumps(list(records())))
    (run.path / "plots").mkdir()
    for name in PLOTS:
        plots.save(plots.new_figure(8, 4), run.path / "plots" / f"{name}.png")
    return run


@pytest.fixture(scope="session")
def evaluation(tmp_path_factory, tiny_store):
    """A directory that `evaluate` wrote, not to be changed: eight times, three members."""
    pytest.importorskip("scores")
    from atmorep_k.data.opening import open_store
    from atmorep_k.evaluation.predictions.evaluate import evaluate
    from atmorep_k.evaluation.predictions.report import write_scores

    store = open_store(tiny_store)
    known = store.dataset()["temperature"]
    leads = np.array([1]) * np.timedelta64(1, "h")
    noise = np.random.default_rng(0).normal(size=(8, 1, 3, *known.shape[1:]))
    truth = np.stack([known.sel(time=store.time[8 * n] + leads).values for n in range(8)])
    dims = ("time", "prediction_timedelta", "number", "level", "latitude", "longitude")
    places = {"time": store.time[:64:8].astype("datetime64[ns]"), "prediction_timedelta": leads}
    places |= {dim: known[dim].values for dim in dims[3:]}
    variables = {"temperature": (dims, truth[:, :, None] + noise, {"units": "K"})}
    prediction = xr.Dataset(variables, places, {"task": "forecast"})
    folder = tmp_path_factory.mktemp("evaluation")
    prediction.to_netcdf(folder / "forecast.nc")
    found = evaluate(folder / "forecast.nc", tiny_store, regions=[(0, 90, 0, 180)])
    return write_scores(found, folder / "forecast_scores")
