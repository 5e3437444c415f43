"""One forecast, scored by the three scorers where their weights agree, has the same scores."""

import types

import numpy as np
import pytest
import xarray as xr

from atmorep_k import evaluation
from atmorep_k.components.datasets import WindowDataset
from atmorep_k.components.maskings import Forecast
from atmorep_k.components.normalizers import MonthlyNormalizer
from atmorep_k.data.opening import open_store
from atmorep_k.data.stores.layout import StoreDescription
from atmorep_k.data.writing.write_store import write_store
from atmorep_k.earth.variables import VariableInfo
from atmorep_k.evaluation.held_out import score_held_out
from atmorep_k.evaluation.predictions import evaluate
from atmorep_k.fields import FieldSpec, Window
from atmorep_k.inference.batches import hidden_tokens, scatter

pytest.importorskip("scores")

HOURS, MEMBERS, SEED = 240, 4, 3
FIELD = FieldSpec("temperature", [500, 850], (2, 1, 3), Window((6, 2, 6)))
LEADS = (1, 2)  # hours in the last token
POINTS = ("level", "prediction_timedelta", "latitude", "longitude")
EXACT = {"rtol": 1e-12, "atol": 1e-12}


class Model:
    """Predicts noise, the same each time."""

    fields = predicted = (FIELD,)

    def __init__(self):
        self.normalizers = {FIELD.name: MonthlyNormalizer()}

    def predict_on_batch(self, inputs):
        batch, levels, masked = inputs[f"{FIELD.name}/masked_index"].shape
        shape = (batch, levels, masked, MEMBERS, FIELD.token_values)
        return {FIELD.name: np.random.default_rng(1).normal(size=shape).astype(np.float32)}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Noise in two rows, north and south of the equator, which have the same area."""
    info = {"temperature": VariableInfo("K", "air_temperature", "air temperature", True)}
    times = np.datetime64("2020-01-01T00", "ns") + np.arange(HOURS) * np.timedelta64(1, "h")
    rows, columns = np.array([15.0, -15.0]), np.arange(12) * 30.0
    description = StoreDescription(times, np.array([500.0, 850.0]), rows, columns, info, {})
    values = 250 + 5 * np.random.default_rng(0).normal(size=(HOURS, 2, 2, 12))
    path = tmp_path_factory.mktemp("core") / "s.zarr"
    return open_store(write_store(path, description, [{"temperature": values.astype("f4")}]))


@pytest.fixture(scope="module")
def scored(store):
    """The held-out scores of one window, and the same forecast as a file has it."""
    model, dataset, masking = Model(), WindowDataset(str(store.path)), Forecast()
    dataset.open([FIELD], model.normalizers)
    held_out = score_held_out(
        model, dataset, {"forecast": masking}, num_samples=1, batch_size=1, seed=SEED
    )
    sample = dataset.window("validation", SEED, 0, masking)
    values = model.predict_on_batch({n: a[None] for n, a in sample.inputs.items()})[FIELD.name][0]
    members = scatter(FIELD, *hidden_tokens(FIELD, sample), values)[1]
    _, rows, columns = dataset.windows.indices(sample.position, FIELD.name)
    times, latitude, longitude = dataset.windows.coordinates(sample.position, FIELD.name)
    members = model.normalizers[FIELD.name].denormalize(members, times, rows, columns)
    leads = np.array(LEADS) * np.timedelta64(1, "h").astype("timedelta64[ns]")
    places = (np.array(FIELD.levels, float), leads, latitude, longitude)
    prediction = xr.DataArray(
        members[:, :, -len(LEADS) :],
        dict(zip(POINTS, places, strict=True)) | {"time": times[-len(LEADS) - 1]},
        ("number", *POINTS),
        attrs={"units": "K"},
    )
    file = prediction.expand_dims("time").to_dataset(name="temperature")
    training = store.time[dataset.time_indices("train", FIELD.name)]
    return types.SimpleNamespace(
        model=model,
        held_out=held_out,
        prediction=file.assign_attrs(task="forecast"),
        training=[np.datetime_as_string(t, "h") for t in training[[0, -1]]],
    )


def test_the_three_scorers_agree(store, scored):
    by_lead = scored.held_out.scores("forecast", "temperature", ("time",))
    by_lead = by_lead.isel(time=slice(-len(LEADS), None))
    verified = evaluation.verify(scored.prediction, scored.model, store).scores["temperature"]
    for model in ("ensemble", "persistence"):
        for metric in ("rmse", "normalised_mse"):
            values = by_lead[metric].sel(model=model)
            np.testing.assert_allclose(verified[metric].sel(model=model), values, **EXACT)
    written = evaluate(scored.prediction, store, climatology=scored.training)
    cells = scored.held_out.scores("forecast", "temperature", ("level", "time"))
    cells = cells.isel(time=slice(-len(LEADS), None))
    compared = 0
    for model in ("ensemble", "persistence", "climatology"):
        for metric in ("rmse", "crps", "bias", "spread_skill"):
            if metric == "spread_skill" and model != "ensemble":
                continue
            ours = cells[metric].sel(model=model).transpose("level", "time")
            theirs = written["temperature"].sel(model=model, score=metric, region="all")
            np.testing.assert_allclose(theirs, ours, **EXACT, err_msg=f"{model} {metric}")
            compared += 1
    assert compared == 10
    mean = np.sqrt((written["temperature"].sel(score="rmse", region="all") ** 2).mean("level"))
    np.testing.assert_allclose(verified["rmse"].sel(model="ensemble"), mean.sel(model="ensemble"))
    shares = written["temperature_ranks"].sel(region="all").mean("prediction_timedelta")
    ranks = scored.held_out.rank_histogram("forecast", "temperature")
    np.testing.assert_allclose(shares, ranks, **EXACT)


def test_arrays_in_a_notebook_have_the_same_scores(store, scored):
    written = evaluate(scored.prediction, store)["temperature"].sel(model="ensemble", region="all")
    forecast = scored.prediction["temperature"].isel(time=0).astype(np.float64)
    truth = store.dataset()["temperature"].sel(
        time=forecast["time"] + forecast["prediction_timedelta"],
        latitude=forecast["latitude"],
        longitude=forecast["longitude"],
    )
    truth = truth.astype(np.float64).drop_vars("time")
    by = ("level", "prediction_timedelta")
    for name in ("rmse", "mae", "bias", "crps", "spread_skill"):
        values = getattr(evaluation, name)(forecast, truth, by).transpose(*by)
        np.testing.assert_allclose(written.sel(score=name), values, **EXACT, err_msg=name)
    histogram = evaluation.rank_histogram(forecast, truth, by).transpose(*by, "rank")
    ranks = evaluate(scored.prediction, store)["temperature_ranks"].sel(region="all")
    np.testing.assert_allclose(ranks, histogram, **EXACT)
