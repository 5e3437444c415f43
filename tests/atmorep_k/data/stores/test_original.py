"""Stores of the original's layout, written here: opened, described and converted as they are."""

import json
import shutil

import numpy as np
import pytest
import zarr
from click.testing import CliRunner

from atmorep_k.cli.data import data
from atmorep_k.data.checking.info import describe_store, info_text
from atmorep_k.data.opening import open_store
from atmorep_k.data.writing.preparing import prepare
from atmorep_k.errors import UserError
from atmorep_k.evaluation.baselines import Climatology

HOURS = np.datetime64("2019-12-30T12", "s") + np.arange(60) * np.timedelta64(1, "h")
NAMES = {"u_component_of_wind": ("data", 0), "mine": ("data", 1), "2m_temperature": ("data_sfc", 0)}


@pytest.fixture(scope="module")
def written(write_original_store, tmp_path_factory):
    path = tmp_path_factory.mktemp("original") / "a.zarr"
    return path, write_original_store(path, hours=HOURS)


@pytest.fixture
def make(write_original_store, tmp_path):
    def write(**options):
        arrays = write_original_store(tmp_path / "made.zarr", **{"hours": HOURS, **options})
        return tmp_path / "made.zarr", arrays

    return write


def test_what_is_opened(written):
    store = open_store(written[0])
    np.testing.assert_array_equal(store.time, HOURS.astype("datetime64[ns]"))
    assert store.level.tolist() == [96, 114, 137]
    np.testing.assert_array_equal(store.latitude, np.arange(90, -91, -10))
    np.testing.assert_array_equal(store.longitude, np.arange(0, 360, 10))
    assert store.is_global and store.resolution == (10.0, 10.0)
    assert set(store.variables) == set(NAMES)
    wind = store.variables["u_component_of_wind"]
    assert (wind.units, wind.standard_name, wind.has_level) == ("m s-1", "eastward_wind", True)
    assert "'velocity_u'" in wind.comment and "ERA5's are assumed" in wind.comment
    assert store.variables["mine"].units == "" and store.variables["mine"].has_level
    assert store.levels_of("2m_temperature").tolist() == [0]
    with pytest.raises(UserError, match="did you mean 'mine'"):
        store.levels_of("mime")
    with pytest.raises(UserError, match="did you mean 'mine'"):
        store.source("mime")


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("unit", ["h", "s", "ns"])
def test_formats_and_units_of_time(make, zarr_format, unit):
    path, arrays = make(zarr_format=zarr_format, hours=HOURS.astype(f"datetime64[{unit}]"))
    store = open_store(path)
    np.testing.assert_array_equal(store.time, HOURS.astype("datetime64[ns]"))
    values = store.dataset()["mine"].values
    np.testing.assert_array_equal(values, arrays["data"][:, 1])


def test_times_in_numbers_need_units(make):
    path, _ = make(without=("time",))
    group = zarr.open_group(path)
    counts = HOURS.astype("datetime64[h]").astype(int)
    array = group.create_array("time", data=counts)
    with pytest.raises(UserError, match="time holds int64, not dates"):
        open_store(path)
    array.attrs["units"] = "hours since 1970-01-01"
    np.testing.assert_array_equal(open_store(path).time, HOURS.astype("datetime64[ns]"))


@pytest.mark.parametrize(
    "where",
    [
        {},
        {"time": 3},
        {"time": slice(5, 40, 3), "latitude": slice(None, None, -2)},
        {"level": [2, 0], "longitude": slice(30, 36)},
        {"time": [4, 1], "latitude": -1, "longitude": np.array([0, 35, 2])},
        {"time": slice(50, 20, -7), "level": 1},
        {"time": slice(5, 5)},
    ],
)
def test_xarray_reads_what_numpy_does(written, where):
    import xarray as xr

    path, arrays = written
    store = open_store(path)
    for name, (array, field) in NAMES.items():
        dims = ("time", "level", "latitude", "longitude")
        dims = dims if store.variables[name].has_level else (dims[0], *dims[2:])
        expected = xr.DataArray(arrays[array][:, field], dims=dims)
        here = {k: v for k, v in where.items() if k in dims}
        ours = store.dataset()[name].isel(here)
        assert ours.dims == expected.isel(here).dims and ours.dtype == np.float32
        np.testing.assert_array_equal(ours.values, expected.isel(here).values)


def test_statistics_of_the_months_that_have_data(written):
    path, arrays = written
    for name, (array, field) in NAMES.items():
        end = "_sfc" if array == "data_sfc" else ""
        stored = open_store(path).statistics(name)
        assert (stored.first_year, stored.slots.tolist()) == (2019, [11, 12])
        for scope, kind in (("global", "global_norm"), ("grid_point", "norm")):
            whole = arrays[f"normalization/{kind}{end}"][11:13, :, field]
            whole = whole[:, :, None] if end else whole
            for which, ours in enumerate(stored.read(scope)):
                np.testing.assert_array_equal(ours, whole[:, which])
    two, _ = open_store(path).statistics("mine", [2, 0]).read("global", [12])
    np.testing.assert_array_equal(two[0], arrays["normalization/global_norm"][12, 0, 1, [2, 0]])


def test_a_grid_point_that_never_varies_has_the_spread_of_its_level(make):
    path, arrays = make()
    norm = zarr.open_group(path)["normalization/norm"]
    norm[11, 1, 0, 1, 3, 4] = 0
    mean, std = open_store(path).statistics("u_component_of_wind").read("grid_point")
    changed = arrays["normalization/norm"][11, :, 0, 1].astype(np.float64)
    changed[1, 3, 4] = 0
    # Of equally many values at each point: the mean variance and the variance of the means.
    expected = np.sqrt((changed[1] ** 2).mean() + changed[0].var())
    assert std[0, 1, 3, 4] == pytest.approx(expected, rel=1e-5)
    assert np.array_equal(mean, arrays["normalization/norm"][11:13, 0, 0])


@pytest.mark.parametrize("flag", [1, 1.0, True, 2, None])
def test_global_stores(make, flag):
    without = ("is_global",) if flag is None else ()
    path, _ = make(attributes={"is_global": flag}, without=without)
    assert open_store(path).is_global


@pytest.mark.parametrize("flag", [0, 0.5, False])
def test_regional_stores(make, flag):
    path, _ = make(attributes={"is_global": flag}, lons=np.arange(0, 90, 10.0))
    assert not open_store(path).is_global


def test_a_region_across_0_degrees(make):
    path, _ = make(attributes={"is_global": 0}, lons=np.array([340, 350, 0, 10, 20.0]))
    assert open_store(path).longitude.tolist() == [-20, -10, 0, 10, 20]


def test_without_surface_fields_or_fields_on_levels(make):
    path, _ = make(without=("data_sfc", "fields_sfc", "normalization/norm_sfc"))
    assert set(open_store(path).variables) == {"u_component_of_wind", "mine"}
    path, _ = make(without=("data", "fields", "levels"))
    store = open_store(path)
    assert set(store.variables) == {"2m_temperature"} and not len(store.level)
    assert store.dataset()["2m_temperature"].dims == ("time", "latitude", "longitude")


def test_pressure_levels_are_told_from_model_levels(make):
    assert open_store(make()[0]).attributes["level_type"] == "model"
    path, _ = make(attributes={"levels": [500, 700, 850]})
    assert open_store(path).attributes["level_type"] == "pressure"


def test_the_fingerprint_is_of_grid_attributes_and_statistics(make):
    first = open_store(make()[0]).fingerprint
    assert open_store(make()[0]).fingerprint == first
    others = []
    for options in (
        {"hours": HOURS + np.timedelta64(1, "h")},
        {"attributes": {"levels": [97, 114, 137]}},
        {"without": ("normalization/global_norm",)},
    ):
        others.append(open_store(make(**options)[0]).fingerprint)
    assert len({first, *others}) == 4 and len(first) == 64


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"without": ("fields",)}, r"'fields' names 0 field\(s\) and its array 'data' holds 2"),
        ({"attributes": {"fields": ["t"]}}, "names 1 field"),
        ({"attributes": {"fields": ["t2m", "u"]}}, "two of its fields are '2m_temperature'"),
        ({"attributes": {"levels": [1, 2]}}, r"'data' has \(60, 3, 19, 36\) values along \(time"),
        ({"lats": np.arange(180, -1, -10.0)}, "lats must hold co-latitudes"),
        ({"lats": np.arange(-90, 91, 10.0)}, "lats must hold co-latitudes"),
        ({"lons": np.arange(350, -1, -10.0)}, "lons must hold longitudes from west to east"),
        ({"lons": np.arange(0, 180, 10.0)}, "is_global = 1.*: 0 to 170"),
        ({"hours": HOURS[::-1]}, "times must ascend"),
        ({"without": ("lats",)}, "not a store of atmorep_k or of the original"),
        ({"without": ("data", "data_sfc")}, "not a store of atmorep_k or of the original"),
    ],
)
def test_what_does_not_fit_is_said(make, options, message):
    with pytest.raises(UserError, match=message):
        open_store(make(**options)[0])


def test_a_group_of_zarr_2_that_is_no_store(tmp_path):
    group = zarr.open_group(tmp_path / "other.zarr", mode="w", zarr_format=2)
    for name in ("time", "lats", "lons", "data"):
        group.create_array(name, data=np.zeros((3, 3)))
    with pytest.raises(UserError, match=r"or of the original AtmoRep; .* data prepare"):
        open_store(tmp_path / "other.zarr")


def test_statistics_that_are_missing_are_named(make):
    path, _ = make(without=("normalization/norm",))
    stored = open_store(path).statistics("mine")
    assert stored.scopes == ("global",)
    with pytest.raises(
        UserError, match=r"normalization/norm is missing; there are those of the whole field"
    ):
        stored.read("grid_point")
    assert open_store(path).statistics("2m_temperature").scopes == ("global", "grid_point")
    shutil.rmtree(path / "normalization")
    stored = open_store(path).statistics("mine")
    assert stored.scopes == ()
    with pytest.raises(UserError, match=r"normalization/global_norm is missing\.$"):
        stored.read("global")


def test_info(written):
    path, arrays = written
    values = describe_store(path)
    assert json.loads(json.dumps(values)) == values
    assert values["level"] == {"type": "model", "values": [96.0, 114.0, 137.0]}
    assert values["time"]["steps"] == 60 and values["is_global"] is True
    of = values["variables"]["u_component_of_wind"]
    means = arrays["normalization/global_norm"][11:13, 0, 0, 0].tolist()
    assert of["mean"]["96"] == pytest.approx(sorted(means))
    assert (of["missing_values"], of["missing_shards"], of["constant_levels"]) == (0, 0, [])
    result = CliRunner().invoke(data, ["info", str(path)])
    assert result.exit_code == 0 and "96 114 137 (model levels)" in result.output
    assert result.output.rstrip().endswith("missing\n  nothing")


def test_info_says_what_is_missing(make):
    path, _ = make(without=("normalization/global_norm",))
    (path / "data" / "1.0.0.0.0").unlink()
    zarr.open_group(path)["data_sfc"][3, 0, 2, :5] = np.nan
    zarr.open_group(path)["normalization/global_norm_sfc"][11] = np.nan
    values = describe_store(path)
    assert values["variables"]["mine"]["missing_shards"] == 1
    assert values["variables"]["2m_temperature"]["missing_values"] == 5
    text = info_text(values)
    assert "monthly mean missing for the whole field" in text
    assert "2m_temperature: 5 values are NaN" in text


@pytest.mark.parametrize("levels", [(), (137, 96)])
def test_prepare_keeps_the_values(written, tmp_path, levels):
    path, arrays = written
    variables = [] if not levels else ["velocity_u", "mine", "t2m"]
    output = prepare([str(path)], tmp_path / "b.zarr", variables=variables, levels=levels)
    store = open_store(output)
    assert set(store.variables) == (set(NAMES) if levels else set(NAMES) - {"mine"})
    chosen = [0, 2] if levels else [0, 1, 2]
    original = open_store(path)
    for name in store.variables:
        array, field = NAMES[name]
        expected = arrays[array][:, field]
        expected = expected if array == "data_sfc" else expected[:, chosen]
        np.testing.assert_array_equal(store.dataset()[name].values, expected)
        assert store.variables[name].units == original.variables[name].units
    for axis in ("time", "latitude", "longitude"):
        np.testing.assert_array_equal(getattr(store, axis), getattr(original, axis))
    assert store.level.tolist() == original.level[chosen].tolist()
    assert store.attributes["level_type"] == "model" and store.is_global


@pytest.mark.parametrize("name", ["u_component_of_wind", "2m_temperature"])
def test_the_climatology_is_that_of_the_store_made_of_it(written, tmp_path, name):
    stores = [open_store(p) for p in (written[0], prepare([str(written[0])], tmp_path / "b.zarr"))]
    levels = stores[0].levels_of(name)[::-1]
    ours, theirs = (
        Climatology.from_store(store, name, levels, np.arange(5, 50), [12, 1, 3]).mean
        for store in stores
    )
    np.testing.assert_array_equal(ours, theirs)


def test_prepare_of_a_region_across_0_degrees_and_of_levels_out_of_order(make, tmp_path):
    lons, attributes = np.array([340, 350, 0, 10.0]), {"is_global": 0, "levels": [137, 96, 114]}
    path, arrays = make(attributes=attributes, lons=lons)
    result = CliRunner().invoke(
        data, ["prepare", str(path), "--output", str(tmp_path / "b.zarr"), "--variable", "u"]
    )
    assert result.exit_code == 0, result.output
    store = open_store(tmp_path / "b.zarr")
    assert store.longitude.tolist() == [-20, -10, 0, 10] and not store.is_global
    values = store.dataset()["u_component_of_wind"].values
    np.testing.assert_array_equal(values, arrays["data"][:, 0][:, [1, 2, 0]])


def test_prepare_of_the_originals_own_store(shared_sampler, tmp_path):
    path = shared_sampler / "store.zarr"
    source = zarr.open_group(path, mode="r")
    dataset = open_store(prepare([str(path)], tmp_path / "b.zarr")).dataset()
    np.testing.assert_array_equal(dataset["u_component_of_wind"], source["data"][:, 0])
    np.testing.assert_array_equal(dataset["temperature"], source["data"][:, 1])
    np.testing.assert_array_equal(dataset["2m_temperature"], source["data_sfc"][:, 0])
    np.testing.assert_array_equal(dataset["latitude"], 90 - source["lats"][:])
