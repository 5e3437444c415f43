"""Regions cut from pieces: the same values as in the whole, wherever the source cuts the circle."""

import pickle

import numpy as np
import pytest
import xarray as xr

from atmorep_k.data.opening import open_store
from atmorep_k.data.sources.cutting import crop
from atmorep_k.data.sources.finding import open_sources
from atmorep_k.data.writing.preparing import prepare
from atmorep_k.errors import UserError

GLOBE = (np.linspace(90, -90, 13), np.arange(0, 360, 15.0))


@pytest.fixture
def globe(raw, known, tmp_path):
    """A path of a global Zarr with longitudes from 0 to 360, and the function of its values."""
    latitude, longitude = GLOBE
    time = raw["time"].values.astype("datetime64[h]")
    place = ("time", "level", "latitude", "longitude")
    values = known(time, raw["level"].values, latitude, longitude)
    coordinates = {"time": raw["time"], "level": raw["level"]}
    dataset = xr.Dataset(
        {"t": (place, values, {"units": "K"})},
        {**coordinates, "latitude": latitude, "longitude": longitude},
    )
    dataset.to_zarr(tmp_path / "globe.zarr", zarr_format=2)
    return str(tmp_path / "globe.zarr")


@pytest.mark.parametrize(
    ("region", "longitude"),
    [
        ((30, 60, 15, 60), [15, 30, 45, 60]),
        ((30, 60, 345, 15), [-15, 0, 15]),
        ((30, 60, -15, 15), [-15, 0, 15]),
        ((30, 60, 165, -165), [165, 180, 195]),
        ((30, 60, -170, -140), [-165, -150]),
        ((30, 60, 0, 360), list(range(0, 360, 15))),
        ((30, 60, 10, -10), list(range(15, 350, 15))),
    ],
)
def test_regions_of_the_globe(globe, known, region, longitude):
    (whole,), _ = open_sources([globe])
    (piece,) = pickle.loads(pickle.dumps(crop([whole], region)))
    assert piece.latitude.tolist() == [60, 45, 30]
    assert piece.longitude.tolist() == longitude
    values = piece.read(2, 5, np.array([1]))
    columns = np.mod(longitude, 360)
    expected = known(piece.time[2:5].astype("datetime64[h]"), [850], piece.latitude, columns)
    np.testing.assert_array_equal(values, expected)


def test_only_the_rows_and_columns_that_are_needed_are_read(globe, monkeypatch):
    (whole,), _ = open_sources([globe])
    (piece,) = crop([whole], (30, 60, 15, 60))
    sizes, isel = [], xr.DataArray.isel

    def counted(array, *arguments, **options):
        part = isel(array, *arguments, **options)
        sizes.append(part.size)
        return part

    monkeypatch.setattr(xr.DataArray, "isel", counted)
    assert piece.read(0, 2, np.array([0])).size == max(sizes) == 2 * 3 * 4


def test_a_source_that_cannot_cut_is_cut_after_reading(globe):
    import dataclasses

    (whole,), _ = open_sources([globe])
    plain = dataclasses.replace(whole, read=lambda *where: whole.read(*where), time_chunk=5)
    region = (30, 60, -15, 15)
    one, other = (crop([p], region)[0].read(3, 11, np.arange(2)) for p in (whole, plain))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "region",
    [(40, 51, 0, 1), (50, 52, 1, 8), (50, 52, 2, -1), (51.2, 51.8, 0, 1), (50, 52, 90, 99)],
)
def test_region_outside_the_grid(raw, tmp_path, region):
    raw.to_netcdf(tmp_path / "a.nc")
    with pytest.raises(UserError, match="is outside its grid or between its points"):
        prepare([str(tmp_path / "a.nc")], tmp_path / "a.zarr", region=region)
    assert not (tmp_path / "a.zarr").exists()


def test_prepare_takes_a_region(raw, known, tmp_path):
    raw.to_netcdf(tmp_path / "a.nc")
    path = prepare([str(tmp_path / "a.nc")], tmp_path / "a.zarr", region=(50, 51, -1, 1))
    dataset = open_store(path).dataset()
    np.testing.assert_array_equal(dataset["temperature"], known()[:, :, 1:, :3])
    with pytest.raises(UserError, match=r"\(south, north, west, east\)"):
        prepare([str(tmp_path / "a.nc")], tmp_path / "b.zarr", region=(51, 50, -1, 1))
