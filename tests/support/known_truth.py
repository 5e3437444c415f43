"""A store of noise, and models that know the answer: what tests of predictions start from."""

import dataclasses

import numpy as np
import xarray as xr

from atmorep_k.components.normalizers import MonthlyNormalizer
from atmorep_k.data.stores.layout import StoreDescription
from atmorep_k.data.writing.write_store import write_store
from atmorep_k.earth.variables import VariableInfo
from atmorep_k.fields import FieldSpec, Window
from atmorep_k.windows.opened import StoreWindows

WINDOW = Window((6, 4, 8))
START = np.datetime64("2020-01-31T12", "h")
INFO = {
    "temperature": VariableInfo("K", "air_temperature", "air temperature", True),
    "specific_humidity": VariableInfo("kg kg-1", "specific_humidity", "", True),
    "2m_temperature": VariableInfo("K", "air_temperature", "", False),
}
FIELDS = {
    "temperature": FieldSpec("temperature", [500, 850], (2, 2, 2), WINDOW, embed_dim=16),
    "2m_temperature": FieldSpec("2m_temperature", [0], (3, 4, 4), WINDOW, embed_dim=16),
    "specific_humidity": FieldSpec(
        "specific_humidity", [700], (2, 2, 4), WINDOW, embed_dim=16, predicted=False
    ),
}
HOUR = np.timedelta64(1, "h")


def write(path, rows=9, columns=20, hours=36, step=1, longitude=None):
    """Writes a store of noise, from the end of January into February."""
    longitude = np.arange(columns) * 360 / columns if longitude is None else longitude
    level = np.array([500.0, 700.0, 850.0])
    time = START + step * np.arange(hours)
    description = StoreDescription(
        time, level, np.linspace(90, -90, rows), longitude, INFO, {"level_type": "pressure"}
    )
    rng = np.random.default_rng(0)
    shape = (hours, 3, rows, len(longitude))
    values = {"temperature": 270 + rng.standard_normal(shape)}
    values["specific_humidity"] = 0.01 + 0.001 * rng.standard_normal(shape)
    values["2m_temperature"] = 280 + rng.standard_normal(shape)[:, :1]
    return write_store(path, description, [{n: v.astype("float32") for n, v in values.items()}])


class Answers:
    """Stands for a model: members are a function of the truth (row, level, masked, value)."""

    name = "answers"

    def __init__(self, fields, answer):
        self.fields = [FIELDS[name] for name in fields]
        self.predicted = [f for f in self.fields if f.predicted]
        self.normalizers = {f.name: MonthlyNormalizer() for f in self.fields}
        self.answer = answer

    def predict_on_batch(self, inputs):
        found = {}
        for f in self.predicted:
            assert np.isfinite(inputs[f"{f.name}/tokens"]).all()
            found[f.name] = self.answer(inputs[f"truth/{f.name}"])
        return found


def tell_the_truth(monkeypatch):
    """Hands the truth to a model among its inputs."""
    plain = StoreWindows.sample

    def sample(self, position, masking, rng, **options):
        found = plain(self, position, masking, rng, **options)
        told = {f"truth/{n}": v for n, v in found.targets.items()}
        return dataclasses.replace(found, inputs=found.inputs | told)

    monkeypatch.setattr(StoreWindows, "sample", sample)


def members(values):
    """The truth as the middle one of three members."""
    return np.stack([values - 1, values, values + 1], axis=-2)


def values_of(store, name, prediction):
    """Returns what the store has for a prediction (time, lead, [level,] lat, lon)."""
    data = xr.open_zarr(store, chunks=None, consolidated=False)[name]
    times = prediction["time"].values[:, None] + prediction["prediction_timedelta"].values
    columns = prediction["longitude"].values % 360
    data = data.sel(latitude=prediction["latitude"].values, longitude=columns)
    found = data.sel(time=times.ravel()).values
    return found.reshape(*times.shape, *found.shape[1:])
