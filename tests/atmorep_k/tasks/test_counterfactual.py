"""Counterfactual predictions: closed forms with a model that answers what it is told."""

import os

import numpy as np
import pytest
import xarray as xr

import atmorep_k
from atmorep_k.data.opening import open_store
from atmorep_k.errors import UserError
from atmorep_k.inference.output import open_prediction
from atmorep_k.tasks.counterfactual import counterfactual
from atmorep_k.tasks.counterfactual_report import compare

from known_truth import FIELDS, Answers, write

TIME = ["2020-02-01T00"]  # the windows begin in January


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return str(write(tmp_path_factory.mktemp("store") / "global.zarr"))


class Listens(Answers):
    """Member k says k times the years after 2020 that it is told of (normalised)."""

    def __init__(self, fields=("temperature",)):
        super().__init__(fields, None)

    def predict_on_batch(self, inputs):
        found = {}
        for f in self.predicted:
            years = inputs[f"{f.name}/token_info"][..., 0] - 2020
            index = inputs[f"{f.name}/masked_index"]
            told = np.take_along_axis(years.reshape(*index.shape[:2], -1), index, 2)
            members = told[..., None, None] * np.arange(1.0, 4.0)[:, None]
            found[f.name] = np.repeat(members, f.token_values, axis=-1).astype("float32")
        return found


def scale(model, times):
    """Returns the deviations (level, time) that the model's values are multiples of."""
    place = np.asarray(times, "datetime64[ns]"), np.arange(1), np.arange(1)
    return model.normalizers["temperature"].scale(*place)[1][..., 0, 0]


@pytest.mark.parametrize("task", ["forecast", "interpolate"])
def test_the_difference_is_that_of_what_is_told(store, task):
    model = Listens(["temperature", "2m_temperature"])
    options = {"overlap": (1, 2), "fields": ["temperature"]}
    told = {"year": 2025, "day": 200, "task": task}
    found = counterfactual(model, store, TIME, **told, batch_size=4, **options)
    plain = getattr(atmorep_k, task)(model, store, TIME, **options)
    xr.testing.assert_identical(found["temperature"], plain["temperature"])
    # The deviation is that of the data's month, not of July, which the model was told.
    hours = found["time"].values + found["prediction_timedelta"].values
    by_year = 5 * scale(model, hours).T[:, None, :, None, None]
    members = np.arange(1, 4).reshape(1, 3, 1, 1, 1) * by_year
    values = found["temperature_counterfactual"].values[0] - plain["temperature"].values[0]
    np.testing.assert_allclose(values, np.broadcast_to(members, values.shape), rtol=1e-4)
    mean = found["temperature_difference"].values[0]
    np.testing.assert_allclose(mean, np.broadcast_to(2 * by_year[:, 0], mean.shape), rtol=1e-4)
    spread = found["temperature_difference_spread"].values[0]
    np.testing.assert_allclose(spread, np.broadcast_to(by_year[:, 0], mean.shape), rtol=1e-4)


@pytest.mark.parametrize("ending", [".zarr", ".nc"])
def test_a_file_holds_means_and_spreads_if_asked(store, tmp_path, ending):
    times = ["2020-01-31T20", *TIME]
    every = counterfactual(Listens(), store, times, year=2025)
    output = tmp_path / f"c{ending}"
    counterfactual(Listens(), store, times, year=2025, members=False, output=output).close()
    with open_prediction(output) as found:
        assert "number" not in found.variables
        for name in ("temperature", "temperature_counterfactual"):
            np.testing.assert_allclose(found[name], every[name].mean("number"), rtol=1e-6)
            std = every[name].std("number", ddof=1)
            np.testing.assert_allclose(found[f"{name}_spread"], std, rtol=1e-4)
        for name in ("temperature_difference", "temperature_difference_spread"):
            xr.testing.assert_equal(found[name], every[name])
        assert (found.attrs["told"], found.attrs["predicted"]) == ("year 2025", "forecast")


def test_the_report_measures_the_difference(store, tmp_path):
    from rich.console import Console

    model, stores = Listens(), {"temperature": open_store(store)}
    prediction = counterfactual(model, store, TIME, year=2025, region=(0, 90, 0, 180))
    found = compare(prediction, model, stores)
    by_year = 5 * scale(model, TIME)[:, 0]
    sizes = found.sizes["temperature"]
    np.testing.assert_allclose(sizes["mean"], 2 * by_year.mean(), rtol=1e-4)
    np.testing.assert_allclose(sizes["rms"], 2 * np.sqrt((by_year**2).mean()), rtol=1e-4)
    np.testing.assert_allclose(sizes["spread"], np.sqrt((by_year**2).mean()), rtol=1e-4)
    console = Console(width=100, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    console.print(found.table())
    words = " ".join(console.export_text().split())
    cells = " ".join(f"{float(sizes[n][0]):.3g}" for n in ("mean", "rms", "spread"))
    assert f"temperature (K) all {cells} 2 h {cells}" in words and not found.remark
    picture = found.pictures["temperature"]
    difference = (picture["prediction"] - picture["target"]).isel(time=-1)
    np.testing.assert_allclose(difference, 2 * by_year[1], rtol=1e-4)
    names = [path.name for path in found.draw(tmp_path / "plots")]
    assert names == ["map_counterfactual_temperature.png"]
    same = compare(counterfactual(model, store, TIME, year=2020), model, stores)
    assert (
        same.remark
        == "no difference: the model predicts the same with year 2020 as with the truth."
    )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "give a year, day, hour or level for the model."),
        (
            {"year": 2021, "day": 366},
            "the year 2021 has no day 366.",
        ),
        ({"hour": 3, "task": "forcast"}, "unknown task 'forcast'; did you mean 'forecast'?"),
        ({"hour": 3, "time_token": 1}, "time_token belongs to the task 'interpolate', not to"),
        (
            {"hour": 3, "task": "interpolate", "tokens": 1},
            "tokens belongs to the task 'forecast', not to",
        ),
        ({"hour": 3, "tokens": 3}, "tokens must be 1 to 2, for this model, not 3; 'rollout'"),
    ],
)
def test_mistakes_are_one_sentence(store, tmp_path, options, sentence):
    with pytest.raises(UserError) as error:
        counterfactual(Listens(), store, TIME, output=tmp_path / "c.nc", **options)
    assert sentence in str(error.value)
    assert not os.listdir(tmp_path)


@pytest.fixture(scope="module")
def model(make_model):
    made = make_model([FIELDS["temperature"]])
    made.build()
    return made


@pytest.mark.backend
def test_a_real_model_differs_by_what_it_reads(model, store, randomize):
    options = {"region": (0, 90, 0, 180), "batch_size": 4}
    # The token information of an untrained model is multiplied by zero.
    deaf = counterfactual(model, store, TIME, year=1979, hour=12, **options)
    assert float(abs(deaf["temperature_difference"]).max()) == 0
    randomize(model)
    same = counterfactual(model, store, TIME, year=2020, day=32, hour=0, **options)
    assert float(abs(same["temperature_difference"]).max()) == 0
    other = counterfactual(model, store, TIME, hour=12, **options)
    assert float(abs(other["temperature_difference"]).max()) > 1e-3
    xr.testing.assert_equal(other["temperature"], same["temperature"])
