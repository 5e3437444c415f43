"""Raw files as pieces: NetCDF and Zarr of every archive lead to the same values."""

import numpy as np
import pytest
import xarray as xr

from atmorep_k.data.sources.finding import find_sources, open_sources
from atmorep_k.earth.axes import level_type, order_latitude, order_longitude
from atmorep_k.errors import UserError


def _old_cds(raw):
    return raw


def _new_cds(raw):
    raw = raw.rename(time="valid_time", level="pressure_level")
    raw["pressure_level"].attrs = {"units": "hPa", "standard_name": "air_pressure"}
    expver = ("valid_time", np.array(["0001"] * raw.sizes["valid_time"]))
    return raw.assign_coords(number=0, expver=expver)


def _merra(raw):
    raw = raw.rename(level="lev", latitude="lat", longitude="lon", t="T", t2m="T2M")
    return raw.isel(lat=slice(None, None, -1), lev=slice(None, None, -1))


def _weatherbench(raw):
    raw = raw.rename(t="temperature", t2m="2m_temperature")
    raw["level"].attrs = {}
    raw = raw.assign_coords(longitude=raw["longitude"] % 360)
    return raw.transpose("time", "level", "longitude", "latitude").isel(
        latitude=slice(None, None, -1)
    )


def _in_pascal(raw):
    level = ("plev", raw["level"].values * 100, {"units": "Pa"})
    return raw.rename(level="plev").assign_coords(plev=level)


def _reversed_time(raw):
    return raw.isel(time=slice(None, None, -1), longitude=slice(None, None, -1))


@pytest.mark.parametrize(
    "style", [_old_cds, _new_cds, _merra, _weatherbench, _in_pascal, _reversed_time]
)
@pytest.mark.parametrize("kind", ["netcdf", "zarr"])
def test_every_style_gives_the_same(raw, known, tmp_path, style, kind):
    path = tmp_path / f"file.{kind}"
    if kind == "netcdf":
        style(raw).to_netcdf(path)
    else:
        style(raw).to_zarr(path, zarr_format=2)
    pieces, left_out = open_sources([str(path)])
    assert left_out == {}
    pieces = {p.name: p for p in pieces}
    assert set(pieces) == {"temperature", "2m_temperature"}
    piece = pieces["temperature"]
    np.testing.assert_array_equal(piece.time, raw["time"].values)
    assert piece.level.tolist() == [500, 850]
    assert piece.level_type == "pressure"
    assert piece.latitude.tolist() == [52, 51, 50]
    assert piece.longitude.tolist() == [-1, 0, 1, 2]
    values = known()
    np.testing.assert_array_equal(piece.read(0, 12, np.arange(2)), values)
    np.testing.assert_array_equal(piece.read(3, 5, np.array([1])), values[3:5, 1:])
    surface = pieces["2m_temperature"]
    assert surface.level.size == 0
    np.testing.assert_array_equal(surface.read(2, 9, np.zeros(1, int)), values[2:9, :1])


def test_preliminary_and_final_era5_are_put_together(raw, known, tmp_path):
    first = raw.where(raw["time"] < raw["time"][5])
    second = raw.where(raw["time"] >= raw["time"][5])
    both = xr.concat([first, second], xr.DataArray([1, 5], dims="expver", name="expver"))
    both.to_netcdf(tmp_path / "a.nc")
    pieces, _ = open_sources([str(tmp_path / "a.nc")])
    piece = next(p for p in pieces if p.name == "temperature")
    np.testing.assert_array_equal(piece.read(0, 12, np.arange(2)), known())


def test_packed_integers(raw, known, tmp_path):
    packed = {"t": {"dtype": "int32", "scale_factor": 1 / 64, "_FillValue": -1}}
    raw[["t"]].to_netcdf(tmp_path / "a.nc", encoding=packed)
    pieces, _ = open_sources([str(tmp_path / "a.nc")])
    np.testing.assert_array_equal(pieces[0].read(0, 12, np.arange(2)), known())


@pytest.mark.parametrize("at", ["500 hPa", "model level 1", "nowhere"])
def test_geopotential_of_one_level(raw, tmp_path, at):
    dataset = raw[["t2m"]].rename(t2m="z").drop_vars("level", errors="ignore")
    if at == "500 hPa":
        dataset = dataset.assign_coords(level=((), 500, {"units": "hPa"}))
    if at == "model level 1":
        dataset = dataset.assign_coords(hybrid=1.0)
    dataset.to_netcdf(tmp_path / "a.nc")
    (piece,), _ = open_sources([str(tmp_path / "a.nc")])
    if at == "500 hPa":
        assert (piece.name, piece.level.tolist()) == ("geopotential", [500])
    else:
        assert (piece.name, piece.level.tolist()) == ("geopotential_at_surface", [])
    assert piece.read(0, 3, np.zeros(1, int)).shape == (3, 1, 3, 4)


def test_what_cannot_be_stored_is_told(raw, tmp_path):
    raw["mask"] = (("latitude", "longitude"), np.ones((3, 4)))
    raw["soil"] = (("time", "layer", "latitude", "longitude"), np.zeros((12, 2, 3, 4)))
    raw["name"] = ("time", np.array(["a"] * 12))
    raw.to_netcdf(tmp_path / "a.nc")
    pieces, left_out = open_sources([str(tmp_path / "a.nc")])
    assert {p.source_name for p in pieces} == {"t", "t2m"}
    assert set(left_out) == {"mask", "soil", "name"}
    assert "'layer'" in left_out["soil"]
    assert "time" in left_out["mask"]


@pytest.mark.parametrize("form", ["NETCDF4", "NETCDF3_CLASSIC", "NETCDF3_64BIT"])
def test_netcdf_that_is_cut_off(raw, tmp_path, form):
    path = tmp_path / "a.nc"
    raw.to_netcdf(path, format=form)
    assert len(open_sources([str(path)])[0]) == 2
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match="truncated"):
        open_sources([str(path)])


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (b"PK\x03\x04", "zip archive"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"hello", "not a GRIB, NetCDF, RADOLAN or Zarr file"),
    ],
)
def test_other_files(tmp_path, start, words):
    (tmp_path / "a.nc").write_bytes(start + bytes(100))
    with pytest.raises(UserError, match=words):
        open_sources([str(tmp_path / "a.nc")])


def test_calendar_of_a_model(raw, tmp_path):
    raw["time"] = xr.date_range("2000-02-28", periods=12, calendar="360_day", use_cftime=True)
    raw.to_netcdf(tmp_path / "a.nc")
    with pytest.raises(UserError, match="calendar '360_day'"):
        open_sources([str(tmp_path / "a.nc")])


def test_files_globs_and_directories(raw, tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("b.nc", "a.nc", "notes.txt"):
        (tmp_path / "in" / name).write_bytes(b"")
    raw.to_zarr(tmp_path / "in" / "c.zarr", zarr_format=2)
    inside = [str(tmp_path / "in" / name) for name in ("a.nc", "b.nc", "c.zarr")]
    assert find_sources([str(tmp_path / "in")]) == inside
    assert find_sources([str(tmp_path / "*" / "*.nc"), inside[0]]) == inside[:2]
    assert find_sources([inside[2]]) == inside[2:]
    assert find_sources(["gs://bucket/a.zarr"]) == ["gs://bucket/a.zarr"]
    with pytest.raises(UserError, match=r"did you mean 'a\.nc'"):
        find_sources([str(tmp_path / "in" / "aa.nc")])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="contains no GRIB"):
        find_sources([str(tmp_path / "empty")])


@pytest.mark.parametrize(
    ("given", "ordered"),
    [
        ([350, 355, 0, 5], [-10, -5, 0, 5]),
        ([-180, -90, 0, 90], [0, 90, 180, 270]),
        ([0, 90, 180, 270, 360], [0, 90, 180, 270]),
        ([270, 280, 260], [-100, -90, -80]),
        ([170, 180, -170], [170, 180, 190]),
        ([12], [12]),
        ([359.75], [-0.25]),
        ([10, 350], [-10, 10]),
    ],
)
def test_longitudes_are_ascending_and_unbroken(given, ordered):
    values, order = order_longitude(np.array(given, float), "a.nc")
    assert values.tolist() == ordered
    np.testing.assert_allclose(np.array(given)[order] % 360, values % 360)


def test_broken_axes():
    with pytest.raises(UserError, match="a gap of 20 degrees in steps of 10"):
        order_longitude(np.array([0.0, 10, 20, 40, 50]), "a.nc")
    with pytest.raises(UserError, match="latitudes have a gap"):
        order_latitude(np.array([0.0, 10, 20, 40, 50]), "a.nc")
    with pytest.raises(UserError, match="occur twice"):
        order_latitude(np.array([0.0, 10, 10]), "a.nc")


def test_digits_of_float32_are_noise():
    values, _ = order_latitude(np.linspace(46.2, 47.2, 11, dtype=np.float32), "a.nc")
    assert values.tolist() == [round(47.2 - 0.1 * i, 1) for i in range(11)]


@pytest.mark.parametrize(
    ("name", "units", "words", "values", "kind"),
    [
        ("level", "hPa", "", [500], "pressure"),
        ("level", "", "model_level_number", [137], "model"),
        ("lev", "layer", "vertical level", [72], "model"),
        ("hybrid", "1", "", [1], "model"),
        ("level", "", "", [50, 500, 850], "pressure"),
        ("level", "", "", [1, 2, 3], ""),
        ("pressure_level", "", "", [500], "pressure"),
    ],
)
def test_kind_of_level(name, units, words, values, kind):
    assert level_type(name, units, words, np.array(values, float)) == kind
