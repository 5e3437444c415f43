"""Data sets as anemoi writes them: names with levels, cells that are a grid, no forcings."""

import pickle

import numpy as np
import pytest
import zarr

from atmorep_k.data.opening import open_store
from atmorep_k.data.sources.cutting import crop
from atmorep_k.data.sources.finding import open_sources
from atmorep_k.data.writing.preparing import prepare
from atmorep_k.errors import UserError

NAMES = ["t_850", "2t", "cos_latitude", "z", "t_500", "insolation"]


@pytest.fixture
def write(raw, known, tmp_path):
    """A function that writes the known values, `write(transposed, members, **attributes)`."""

    def make(transposed=False, members=1, zarr_format=2, latitude=None, **attributes):
        values, time = known(), raw["time"].values.astype("datetime64[s]")
        columns = (values[:, 1], values[:, 0], 7, values[:1, 0], values[:, 0], 8)
        data = np.stack([np.broadcast_to(c, values[:, 0].shape) for c in columns], axis=1)
        rows = raw["latitude"].values if latitude is None else latitude
        cells = np.meshgrid(rows, raw["longitude"].values % 360, indexing="ij")
        if transposed:
            data, cells = data.swapaxes(2, 3), [c.T for c in cells]
        group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=zarr_format)
        flat = np.repeat(data.reshape(*data.shape[:2], 1, -1), members, axis=2)
        chunks = (5, flat.shape[1], members, flat.shape[3])
        group.create_array("data", data=flat, chunks=chunks)
        group.create_array("dates", data=time)
        for name, c in zip(("latitudes", "longitudes"), cells, strict=True):
            group.create_array(name, data=c.ravel())
        group.attrs.update({"variables": NAMES, "description": "a set", **attributes})
        return [str(tmp_path / "a.zarr")]

    return make


@pytest.mark.filterwarnings("ignore:The data type")
@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize(
    ("transposed", "shape"), [(False, [3, 4]), (False, None), (True, None), (True, [12])]
)
def test_values_and_names(write, known, tmp_path, transposed, shape, zarr_format):
    said = []
    sources = write(transposed, zarr_format=zarr_format, field_shape=shape)
    store = open_store(prepare(sources, tmp_path / "b.zarr", notify=said.append))
    assert set(store.variables) == {"temperature", "2m_temperature", "geopotential_at_surface"}
    assert store.level.tolist() == [500, 850]
    assert store.attributes["level_type"] == "pressure"
    assert store.attributes["title"] == "a set"
    assert "gives no units" in store.variables["temperature"].comment
    dataset = store.dataset()
    np.testing.assert_array_equal(dataset["temperature"], known())
    np.testing.assert_array_equal(dataset["2m_temperature"], known()[:, 0])
    assert len(said) == 1
    assert "cos_latitude, insolation: it is computed from time and place" in said[0]


def test_what_its_metadata_says(write):
    metadata = {"t_500": {"mars": {"levtype": "ml"}}, "z": {"computed_forcing": True}}
    missing = ["2020-01-31T20:00:00"]
    pieces, left_out = open_sources(write(variables_metadata=metadata, missing_dates=missing))
    assert "z" in left_out
    temperature = next(p for p in pieces if p.name == "temperature")
    assert temperature.level_type == "model"
    assert len(temperature.time) == 11 and temperature.time[2] == np.datetime64("2020-01-31T21")
    assert temperature.read(0, 11, np.array([0]))[2, 0, 0, 0] // 4096 == 3


def test_pieces_are_pickled_and_cut(write, known):
    pieces = crop(open_sources(write())[0], (51, 52, 0, 1))
    piece = next(p for p in pickle.loads(pickle.dumps(pieces)) if p.name == "temperature")
    np.testing.assert_array_equal(piece.read(3, 8, np.array([1])), known()[3:8, 1:, :2, 1:3])


def test_mistakes(write):
    with pytest.raises(UserError, match=r"a\.zarr has 2 ensemble members"):
        open_sources(write(members=2))
    with pytest.raises(UserError, match=r"not \(time, variable, ensemble, cell\) of its 2"):
        open_sources(write(variables=["t_850", "2t"]))
    sources = write()
    group = zarr.open_group(sources[0], mode="r+")
    group["latitudes"][5] += 0.25
    with pytest.raises(UserError, match=r"12 cells do not form a grid .* interpolate it"):
        open_sources(sources)
