"""A small store whose values tell where they come from."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from atmorep_k.data.stores.layout import StoreDescription
from atmorep_k.data.writing.write_store import write_store
from atmorep_k.earth.variables import VariableInfo
from atmorep_k.fields import FieldSpec, Window

WINDOW = Window((12, 6, 12))


@dataclasses.dataclass(frozen=True)
class Written:
    """A store and what was written into it."""

    path: str
    description: StoreDescription
    values: dict[str, np.ndarray]


def write(
    path: Path, *, hours=None, longitude=None, latitude=None, values=None, level=(500, 700, 850)
) -> Written:
    """Writes a store; by default ten days from 28 January on a global grid of 4 degrees.

    Every value of `temperature` is its own row-major index, which float32 holds exactly.
    """
    hours = np.arange(240) if hours is None else hours
    latitude = np.linspace(90, -90, 46) if latitude is None else latitude
    longitude = np.arange(90) * 4.0 if longitude is None else longitude
    variables = {
        "temperature": VariableInfo("K", "air_temperature", "", True),
        "2m_temperature": VariableInfo("K", "air_temperature", "", False),
    }
    time = np.datetime64("2020-01-28T00", "h") + hours
    level = np.array(level, np.float64)
    description = StoreDescription(time, level, latitude, longitude, variables, {"title": "test"})
    shape = (len(time), len(level), len(latitude), len(longitude))
    if values is None:
        cube = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
        values = {"temperature": cube, "2m_temperature": -cube[:, :1]}
    write_store(path, description, [values])
    return Written(str(path), description, values)


@pytest.fixture(scope="session")
def written(tmp_path_factory) -> Written:
    return write(tmp_path_factory.mktemp("store") / "global.zarr")


@pytest.fixture
def make_store(tmp_path):
    return lambda **changes: write(tmp_path / "made.zarr", **changes)


@pytest.fixture(scope="session")
def write_named(tmp_path_factory):
    """Function (name, changes) that writes a store as `write` does."""
    return lambda name, **changes: write(tmp_path_factory.mktemp("named") / name, **changes)


@pytest.fixture
def fields() -> list[FieldSpec]:
    return [
        FieldSpec("temperature", [500, 850], (3, 3, 3), WINDOW),
        FieldSpec("2m_temperature", [0], (6, 2, 4), WINDOW, normalization="grid_point"),
    ]
