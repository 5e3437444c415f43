"""A model whose fields come from several stores is trained and scored, each on its own grid."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest

from atmorep_k import components, config
from atmorep_k.data.stores.layout import StoreDescription
from atmorep_k.data.writing.write_store import write_store
from atmorep_k.earth.variables import VariableInfo
from atmorep_k.evaluation.held_out import score_held_out
from atmorep_k.fields import FieldSpec, Window
from atmorep_k.training import Pretraining

TASKS = {
    "masked": components.maskings.RandomTokens((0.3, 0.6), hidden=1.0, noised=0.0, coarsened=0.0),
    "forecast": components.maskings.Forecast(),
}
PARTS = {"coupler": components.couplers.CrossFieldAttention()}


@pytest.fixture(scope="module")
def humidity_store(tmp_path_factory):
    """Humidity that depends on the place alone, every 2 h, on 16 x 32 points."""
    latitude, longitude = np.linspace(84.375, -84.375, 16), np.arange(32) * 11.25
    info = {"specific_humidity": VariableInfo("kg kg-1", "specific_humidity", "", True)}
    time = np.datetime64("2020-01-01T01", "h") + 2 * np.arange(60)
    description = StoreDescription(time, np.array([700.0]), latitude, longitude, info, {})
    values = np.arange(16 * 32, dtype=np.float32).reshape(1, 1, 16, 32)
    blocks = [{"specific_humidity": np.repeat(values, 60, axis=0)}]
    return str(write_store(tmp_path_factory.mktemp("store") / "humidity.zarr", description, blocks))


@pytest.fixture
def task(make_model, make_field, tiny_store, humidity_store):
    """The tiny store has hourly temperature on 8 x 16 points."""
    window = Window((2, 8, 16), step_hours=2)
    options = {"token_size": (1, 4, 4), "embed_dim": 16, "couplings": ["temperature"]}
    humidity = FieldSpec("specific_humidity", [700], window=window, **options)
    temperature = make_field(couplings=["specific_humidity"])
    model = make_model([humidity, temperature], **PARTS)
    stores = {"q": humidity_store}
    dataset = components.datasets.WindowDataset(str(tiny_store), stores=stores)
    loss, optimizer = components.losses.KernelCRPS(), keras.optimizers.Adam()
    return Pretraining(model, dataset, TASKS["masked"], loss, optimizer)


def test_the_configuration_of_the_page_is_one(tmp_path):
    page = (Path(__file__).parents[4] / "docs" / "training.md").read_text()
    blocks = re.findall(r"```gin\n(.*?)```", page, re.DOTALL)
    (text,) = (block for block in blocks if "WindowDataset.stores" in block)
    (tmp_path / "two_stores.gin").write_text(text)
    task = config.load([tmp_path / "two_stores.gin"]).build()
    assert task.dataset.stores == {"temperature": "other.zarr"}
    vorticity, temperature = task.model.fields
    assert vorticity.window.hours == temperature.window.hours == 36
    assert (vorticity.window.step_hours, temperature.window.step_hours) == (3, 6)
    assert (vorticity.couplings, temperature.couplings) == (("temperature",), ("vorticity",))


def test_each_field_is_trained_and_scored_on_its_own_grid(task, humidity_store, tiny_store):
    task.prepare()
    model, dataset = task.model, task.dataset
    (batch,) = dataset.batches("train", 2, TASKS["masked"], 0, num_steps=1)
    assert np.isfinite(np.asarray(model.train_on_batch(*batch))).all()
    told = model.provenance
    assert told["store"] == str(tiny_store)
    assert told["stores"]["specific_humidity"]["store"] == humidity_store
    found = score_held_out(model, dataset, TASKS, num_samples=6, batch_size=4, seed=1)
    for name in TASKS:
        # Humidity never changes: its climatology and its last value are right, if they are of the
        # same place. Temperature does.
        scores = {f: found.scores(name, f)["rmse"] for f in ("specific_humidity", "temperature")}
        for baseline in ("climatology", "persistence"):
            assert scores["specific_humidity"].sel(model=baseline) == 0
            assert scores["temperature"].sel(model=baseline) > 0.1
        assert all(np.isfinite(s.sel(model="ensemble")) for s in scores.values())
    leads = {f: s["lead_time_hours"].values.tolist() for f, s in found.sums["forecast"].items()}
    assert leads == {"specific_humidity": [0, 2], "temperature": [-1, 0, 1, 2]}
    picture = found.pictures["forecast"]["specific_humidity"]
    rows = np.round((84.375 - picture["latitude"].values) / 11.25)
    columns = picture["longitude"].values / 11.25
    expected = 32 * rows[:, None] + columns
    np.testing.assert_array_equal(picture["target"][0, 0], expected)
    assert picture.attrs["units"] == "kg kg-1"
    assert (
        picture["time"].values[-1] == found.pictures["forecast"]["temperature"]["time"].values[-1]
    )


def test_a_member_without_error_scores_zero_on_its_own_grid(task):
    task.prepare()
    model, dataset = task.model, task.dataset

    class Truth:
        fields, predicted, normalizers = model.fields, model.predicted, model.normalizers

        def predict_on_batch(self, inputs):
            return {f.name: inputs[f"truth/{f.name}"][..., None, :] for f in self.predicted}

    plain = dataset.window

    def window(*arguments):
        sample = plain(*arguments)
        for name, values in sample.targets.items():
            sample.inputs[f"truth/{name}"] = values
        return sample

    dataset.window = window
    found = score_held_out(Truth(), dataset, TASKS, num_samples=4, batch_size=4, seed=1)
    for field in ("specific_humidity", "temperature"):
        assert found.scores("masked", field)["normalised_mse"].sel(model="ensemble") < 1e-10
