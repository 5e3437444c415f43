"""The same atmosphere in every layout: whatever it is prepared from, training sees the same."""

import numpy as np
import pytest
import xarray as xr
import zarr

from atmorep_k.components.datasets import WindowDataset
from atmorep_k.components.maskings import RandomTokens
from atmorep_k.data.writing.preparing import prepare
from atmorep_k.fields import FieldSpec, Window

TIME = np.datetime64("2020-01-30T12", "ns") + np.arange(72) * np.timedelta64(1, "h")
LEVEL = np.array([500, 850])
LATITUDE, LONGITUDE = np.linspace(90, -90, 13), np.arange(0, 360, 15.0)
PLACE = ("latitude", "longitude")


@pytest.fixture(scope="module")
def atmosphere():
    """Three days of `t` and `2t` round the globe, on a lattice that GRIB and float32 keep."""
    rng = np.random.default_rng(0)
    shape = (len(TIME), len(LEVEL), len(LATITUDE), len(LONGITUDE))
    values = (rng.integers(200 * 64, 320 * 64, shape) / 64).astype(np.float32)
    # The least value first, as GRIB packs differences from it.
    values[:, :, 0, 0] = 200
    return xr.Dataset(
        {
            "t": (("time", "level", *PLACE), values, {"units": "K"}),
            "t2m": (("time", *PLACE), values[:, 1] + np.float32(1), {"units": "K"}),
        },
        {
            "time": TIME,
            "level": ("level", LEVEL, {"units": "hPa"}),
            "latitude": LATITUDE,
            "longitude": LONGITUDE,
        },
    )


def _to_zarr(dataset, path, zarr_format):
    chunks = {n: {"chunks": (1, *dataset[n].shape[1:])} for n in dataset.data_vars}
    dataset.to_zarr(path, zarr_format=zarr_format, encoding=chunks, consolidated=zarr_format == 2)


def _globe_zarr2(data, path, write_grib):
    _to_zarr(data, path, 2)


def _globe_zarr3(data, path, write_grib):
    _to_zarr(data.rename(t="temperature", t2m="2m_temperature"), path, 3)


def _long_chunks(data, path, write_grib):
    chunks = {n: {"chunks": (32, *(5 for _ in data[n].dims[1:]))} for n in data.data_vars}
    data.to_zarr(path, zarr_format=2, encoding=chunks)


def _netcdf(data, path, write_grib):
    data.rename(time="valid_time", level="pressure_level").to_netcdf(path)


def _ascending(data, path, write_grib):
    data.isel(latitude=slice(None, None, -1), level=slice(None, None, -1)).to_netcdf(path)


def _from_180_west(data, path, write_grib):
    east = (data["longitude"] + 180) % 360 - 180
    data.assign_coords(longitude=east).sortby("longitude").to_netcdf(path)


def _permuted(data, path, write_grib):
    data.transpose("longitude", "level", "time", "latitude").to_netcdf(path)


def _monthly_files(data, path, write_grib):
    path.mkdir()
    for month, part in data.groupby("time.month"):
        part.to_netcdf(path / f"{month}.nc")


def _grib(data, path, write_grib):
    places = [(step, i) for step in range(len(TIME)) for i in range(len(LEVEL))]
    at = data["time"].values
    messages = [
        ("t", "isobaricInhPa", int(LEVEL[i]), at[step], data["t"].values[step, i])
        for step, i in places
    ]
    write_grib(path, messages, LATITUDE, LONGITUDE)
    surface = [
        ("2t", "heightAboveGround", 2, at[step], data["t2m"].values[step])
        for step in range(len(TIME))
    ]
    write_grib(path.with_name("surface"), surface, LATITUDE, LONGITUDE)
    return [path, path.with_name("surface")]


def _anemoi(data, path, write_grib):
    columns = [data["t2m"].values, *np.moveaxis(data["t"].values, 1, 0)]
    cells = np.stack(columns, axis=1).reshape(len(TIME), 3, 1, -1)
    latitude, longitude = np.meshgrid(LATITUDE, LONGITUDE, indexing="ij")
    group = zarr.open_group(path, mode="w", zarr_format=2)
    group.create_array("data", data=cells, chunks=(1, *cells.shape[1:]))
    group.create_array("dates", data=TIME.astype("datetime64[s]"))
    group.create_array("latitudes", data=latitude.ravel())
    group.create_array("longitudes", data=longitude.ravel())
    group.attrs["variables"] = ["2t", "t_500", "t_850"]
    group.attrs["field_shape"] = [len(LATITUDE), len(LONGITUDE)]


LAYOUTS = [
    *(_globe_zarr2, _globe_zarr3, _long_chunks, _netcdf, _ascending, _from_180_west),
    *(_permuted, _monthly_files, _grib, _anemoi),
]


def _windows(store):
    """Returns all that training gets from two batches, statistics included, as bytes."""
    window = Window((12, 6, 12))
    fields = [
        FieldSpec("temperature", [500, 850], (3, 3, 3), window),
        FieldSpec("2m_temperature", [0], (3, 3, 3), window),
    ]
    dataset = WindowDataset(str(store), samples_per_epoch=8)
    dataset.open(fields)
    batches = dataset.batches("train", 4, RandomTokens(), 1, num_steps=2)
    return [
        (name, values.tobytes())
        for batch in batches
        for part in batch
        for name, values in sorted(part.items())
    ]


@pytest.fixture(scope="module")
def expected(atmosphere, tmp_path_factory):
    """The windows of the first layout, of which the values are known."""
    folder = tmp_path_factory.mktemp("first")
    _netcdf(atmosphere, folder / "source", None)
    store = prepare([str(folder / "source")], folder / "store.zarr")
    dataset = xr.open_zarr(store, chunks=None)
    np.testing.assert_array_equal(dataset["temperature"], atmosphere["t"])
    np.testing.assert_array_equal(dataset["2m_temperature"], atmosphere["t2m"])
    return _windows(store)


@pytest.mark.filterwarnings("ignore:The data type")
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_windows(atmosphere, expected, layout, tmp_path, request):
    write_grib = request.getfixturevalue("write_grib") if layout is _grib else None
    sources = layout(atmosphere, tmp_path / "source", write_grib) or [tmp_path / "source"]
    store = prepare(list(map(str, sources)), tmp_path / "store.zarr")
    found = _windows(store)
    assert len(found) == len(expected) > 4
    for (name, values), (other, others) in zip(found, expected, strict=True):
        assert name == other and values == others, name
