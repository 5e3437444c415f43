"""Random forecasts beside a truth, and a store with predictions of it."""

import numpy as np
import pytest
import xarray as xr

from atmorep_k.data.opening import open_store
from atmorep_k.data.stores.layout import StoreDescription
from atmorep_k.data.stores.statistics import area_weights
from atmorep_k.data.writing.write_store import write_store
from atmorep_k.earth.variables import VariableInfo

LATITUDE, LONGITUDE = np.linspace(75, -75, 11), np.arange(12) * 30.0
TIME = np.datetime64("2020-01-01T00", "ns") + np.arange(72) * np.timedelta64(1, "h")
LEVEL = [500.0, 850.0]
POINTS = ("level", "latitude", "longitude")
DIMS = ("time", "prediction_timedelta", "number", *POINTS)


@pytest.fixture
def make_case():
    """Function (members, share of points that count) -> a random `Case` of one region."""
    from atmorep_k.evaluation.case import Case
    from atmorep_k.evaluation.weights import GridWeights

    def make(number=5, counting=0.7, seed=0, uniform=False):
        rng = np.random.default_rng(seed)
        shape = len(LEVEL), len(LATITUDE), len(LONGITUDE)
        truth, climatology = rng.normal(size=(2, *shape))
        forecast = truth + rng.normal(size=(number, *shape)) * 0.7
        counted = rng.random(shape) < counting
        area = np.ones(len(LATITUDE)) if uniform else area_weights(LATITUDE)
        weight = (area[:, None] * counted)[:, None]
        arrays = (np.where(counted, a, 0.0) for a in (forecast, truth, climatology))
        forecast, truth, climatology = arrays
        return Case(forecast, truth, GridWeights(weight, counted), climatology)

    return make


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    """Temperature rises by 2 K an hour from noise; `2m_temperature` is noise throughout."""
    info = {
        "temperature": VariableInfo("K", "air_temperature", "air temperature", True),
        "2m_temperature": VariableInfo("K", "air_temperature", "2 metre temperature", False),
    }
    description = StoreDescription(TIME, np.array([*LEVEL, 925.0]), LATITUDE, LONGITUDE, info, {})
    rng = np.random.default_rng(0)
    grid = len(LATITUDE), len(LONGITUDE)
    values = 250 + rng.normal(size=(1, 3, *grid)) + 2 * np.arange(72).reshape(-1, 1, 1, 1)
    surface = 280 + rng.normal(size=(72, 1, *grid))
    pieces = {"temperature": values.astype("f4"), "2m_temperature": surface.astype("f4")}
    path = tmp_path_factory.mktemp("evaluating") / "s.zarr"
    return open_store(write_store(path, description, [pieces]))


@pytest.fixture(scope="session")
def predicted(store):
    """Function (error, times, leads, members, field) -> the truth plus an error, as a prediction.

    The error is broadcastable to (time, lead, member, [level,] lat, lon).
    """

    def predict(error, times=(3, 9), leads=(1, 2), number=None, field="temperature", **attrs):
        data = store.dataset()[field].load()
        data = data.sel(level=LEVEL) if "level" in data.dims else data
        hours = TIME[list(times)], np.array(leads) * np.timedelta64(1, "h")
        known = np.stack([data.reindex(time=t + hours[1]).values for t in hours[0]])
        dims = [d for d in DIMS if d in ("time", "prediction_timedelta", *data.dims)]
        if number:
            known = np.repeat(known[:, :, None], number, axis=2)
            dims.insert(2, "number")
        values = np.broadcast_to(known + error, known.shape)
        places = dict(zip(DIMS[:2], hours, strict=True)) | {"number": np.arange(number or 1)}
        places |= {d: data[d].values for d in dims if d in data.coords and d != "time"}
        variables = {field: (dims, values, {"units": "K"})}
        return xr.Dataset(variables, {d: places[d] for d in dims}, {"task": "forecast", **attrs})

    return predict
