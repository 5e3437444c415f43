"""From raw files to a store: joining, choosing, mistakes, real data."""

import re
from concurrent.futures.process import BrokenProcessPool

import numpy as np
import pytest

from atmorep_k.data.opening import open_store
from atmorep_k.data.stores.layout import Layout
from atmorep_k.data.writing import executors, memory
from atmorep_k.data.writing.preparing import prepare
from atmorep_k.errors import UserError


def _prepare(tmp_path, sources, **options):
    output = prepare([str(s) for s in sources], tmp_path / "out" / "a.zarr", **options)
    return open_store(output)


def _files(tmp_path, **datasets):
    paths = []
    for name, dataset in datasets.items():
        paths.append(tmp_path / f"{name}.nc")
        dataset.to_netcdf(paths[-1])
    return paths


def test_one_file(raw, known, tmp_path):
    store = _prepare(tmp_path, _files(tmp_path, a=raw))
    dataset = store.dataset()
    np.testing.assert_array_equal(dataset["temperature"], known())
    np.testing.assert_array_equal(dataset["2m_temperature"], known()[:, 0])
    assert store.attributes["level_type"] == "pressure"
    assert store.attributes["title"] == "a title"
    assert store.attributes["attribution"] == "a licence"
    assert store.attributes["simulated"] is False
    assert "a.nc" in store.attributes["source"]
    assert str(tmp_path) not in store.attributes["source"]


def test_files_along_time_and_variable_in_any_order(raw, known, tmp_path):
    paths = _files(
        tmp_path,
        c=raw[["t"]].isel(time=slice(7, 12)),
        a=raw[["t2m"]].isel(latitude=slice(None, None, -1)),
        b=raw[["t"]].isel(time=slice(0, 7)),
    )
    dataset = _prepare(tmp_path, paths).dataset()
    np.testing.assert_array_equal(dataset["temperature"], known())
    np.testing.assert_array_equal(dataset["2m_temperature"], known()[:, 0])


def test_files_along_level(raw, known, tmp_path):
    paths = _files(tmp_path, a=raw[["t"]].isel(level=[1]), b=raw[["t"]].isel(level=0))
    store = _prepare(tmp_path, paths)
    assert store.level.tolist() == [500, 850]
    np.testing.assert_array_equal(store.dataset()["temperature"], known())


def test_files_with_different_levels_joined_at_a_common_one(raw, known, tmp_path):
    first, last = raw[["t"]].isel(time=slice(0, 7)), raw[["t"]].isel(time=slice(7, 12), level=[1])
    paths = _files(tmp_path, a=first, b=last)
    store = _prepare(tmp_path, paths, levels=[850])
    np.testing.assert_array_equal(store.dataset()["temperature"], known()[:, 1:])


def test_times_given_twice(raw, known, tmp_path):
    again = raw.isel(time=slice(5, 12))
    paths = _files(tmp_path, a=raw.isel(time=slice(0, 8)), b=again)
    np.testing.assert_array_equal(_prepare(tmp_path, paths).dataset()["temperature"], known())
    again["t"][2, 0, 0, 0] += 1  # 2020-02-01T01, in both files
    again.to_netcdf(tmp_path / "c.nc")
    with pytest.raises(UserError, match=r"different values for 2020-02-01T01:00:00 in a\.nc and c"):
        _prepare(tmp_path / "other", [paths[0], tmp_path / "c.nc"])


def test_gap_in_time_is_allowed_and_irregular_steps_are_not(raw, tmp_path):
    paths = _files(tmp_path, gap=raw.isel(time=[0, 1, 2, 6]), odd=raw.isel(time=[0, 2, 5]))
    assert len(_prepare(tmp_path, paths[:1]).time) == 4
    with pytest.raises(UserError, match="times are irregular"):
        _prepare(tmp_path / "other", paths[1:])


def test_variables_and_levels_that_are_wanted(raw, known, tmp_path):
    raw["strange"] = raw["t"] * 2
    raw["strange"].attrs["units"] = "K**2"
    (path,) = _files(tmp_path, a=raw)
    said = []
    store = _prepare(tmp_path / "all", [path], notify=said.append)
    assert set(store.variables) == {"temperature", "2m_temperature"}
    assert len(said) == 1 and "strange" in said[0]
    store = _prepare(tmp_path / "some", [path], variables=["strange", "T"], levels=[850])
    assert set(store.variables) == {"temperature", "strange"}
    assert store.variables["strange"].units == "K2"
    assert store.level.tolist() == [850]
    np.testing.assert_array_equal(store.dataset()["temperature"], known()[:, 1:])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"variables": ["temperatur"]}, "did you mean 'temperature'"),
        ({"variables": ["mask"]}, "cannot be stored: it does not depend on time"),
        ({"levels": [700]}, "no level 700; the nearest is 850"),
        ({"levels": [500], "variables": ["2t"]}, "no variable has levels"),
    ],
)
def test_wanted_but_not_there(raw, tmp_path, options, words):
    raw["mask"] = (("latitude", "longitude"), np.ones((3, 4)))
    paths = _files(tmp_path, a=raw)
    with pytest.raises(UserError, match=words):
        _prepare(tmp_path, paths, **options)
    assert not (tmp_path / "out").exists()


def test_no_known_variable(raw, tmp_path):
    paths = _files(tmp_path, a=raw[["t"]].rename(t="mystery"))
    words = r"no known variable was found\. The sources contain mystery"
    with pytest.raises(UserError, match=words):
        _prepare(tmp_path, paths)


def test_files_that_do_not_fit(raw, tmp_path):
    other = raw[["t2m"]]
    cases = {
        "different grids: longitude": other.isel(longitude=slice(0, 3)),
        "different times": other.isel(time=slice(0, 5)),
    }
    for words, dataset in cases.items():
        paths = _files(tmp_path, a=raw[["t"]], b=dataset)
        with pytest.raises(UserError, match=words):
            _prepare(tmp_path, paths)
    paths = _files(tmp_path, a=raw[["t"]], b=raw[["t"]].rename(t="u").isel(level=[1]))
    with pytest.raises(UserError, match="common ones with --level: 850"):
        _prepare(tmp_path, paths)
    model = raw[["t"]].rename(t="u", level="hybrid")
    model["hybrid"].attrs = {}
    with pytest.raises(UserError, match=r"on pressure levels, .* on model levels"):
        _prepare(tmp_path, _files(tmp_path, a=raw[["t"]], b=model))


def test_two_names_for_one_variable(raw, tmp_path):
    raw["ta"] = raw["t"] + 1
    paths = _files(tmp_path, a=raw)
    with pytest.raises(UserError, match="'t' and 'ta' are both 'temperature'"):
        _prepare(tmp_path, paths)
    store = _prepare(tmp_path, paths, variables=["ta"])
    np.testing.assert_array_equal(store.dataset()["temperature"], raw["ta"])


@pytest.mark.parametrize(
    ("units", "stored", "factor", "offset"),
    [
        ("K", "K", 1, 0),
        ("Celsius", "K", 1, 273.15),
        ("furlong", "furlong", 1, 0),
        ("", "K", 1, 0),
    ],
)
def test_units(raw, known, tmp_path, units, stored, factor, offset):
    raw["t"].attrs["units"] = units
    store = _prepare(tmp_path, _files(tmp_path, a=raw[["t"]]))
    info = store.variables["temperature"]
    assert info.units == stored
    assert bool(info.comment) == (units in ("", "furlong"))
    got = store.dataset()["temperature"].values
    np.testing.assert_allclose(got, known() * factor + offset, rtol=1e-7)


def test_missing_values_are_refused(raw, tmp_path):
    raw["t2m"][4, 1, 1] = np.nan
    paths = _files(tmp_path, a=raw)
    with pytest.raises(UserError, match=r"'2m_temperature' has missing .* 2020-01-31T22:00"):
        _prepare(tmp_path, paths)
    assert not (tmp_path / "out").exists()


def test_grib_and_netcdf_together(raw, known, write_grib, tmp_path):
    times = raw["time"].values
    messages = [
        ("2t", "heightAboveGround", 2, t, known()[i, 0]) for i, t in enumerate(times) if i < 6
    ]
    write_grib(tmp_path / "a.grib", messages)
    paths = _files(tmp_path, b=raw[["t2m"]].isel(time=slice(6, 12)))
    dataset = _prepare(tmp_path, [tmp_path / "a.grib", *paths]).dataset()
    np.testing.assert_allclose(dataset["2m_temperature"], known()[:, 0], atol=0.01)


def test_store_of_a_store(raw, known, tmp_path):
    first = _prepare(tmp_path, _files(tmp_path, a=raw))
    second = _prepare(tmp_path / "again", [first.path], levels=[500])
    np.testing.assert_array_equal(second.dataset()["temperature"], known()[:, :1])
    assert second.attributes["attribution"] == "a licence"


def test_progress_ends_at_the_total(raw, tmp_path):
    calls = []
    _prepare(
        tmp_path, _files(tmp_path, a=raw), progress=lambda done, total: calls.append((done, total))
    )
    assert calls[-1] == (12 * 3 * 4 * 3 * 4, 12 * 3 * 4 * 3 * 4)
    assert [done for done, _ in calls] == sorted({done for done, _ in calls})


def test_long_chunks_of_the_source_are_read_once(raw, tmp_path, monkeypatch):
    from atmorep_k.data.sources import cf

    monkeypatch.setattr(memory, "_SMALL", 0)
    reads = []
    original = cf._Reader.__call__

    def counted(self, start, stop, index):
        reads.append((start, stop))
        return original(self, start, stop, index)

    monkeypatch.setattr(cf._Reader, "__call__", counted)
    time = raw["time"].values[0] + np.arange(100) * np.timedelta64(1, "h")
    long = raw[["t2m"]].isel(time=np.zeros(100, int)).assign_coords(time=time)
    encoding = {"t2m": {"chunksizes": (100, 3, 4)}}
    long.to_netcdf(tmp_path / "long.nc", encoding=encoding)
    long.to_netcdf(tmp_path / "short.nc", encoding={"t2m": {"chunksizes": (1, 3, 4)}})
    _prepare(tmp_path / "1", [tmp_path / "long.nc"], workers=1)
    _prepare(tmp_path / "2", [tmp_path / "short.nc"], workers=1)
    assert reads == [(0, 100), (0, 48), (48, 96), (96, 100)]


@pytest.fixture
def month(raw, tmp_path):
    """A file of 31 days with `t` on two levels and `t2m`."""
    time = raw["time"].values[0] + np.arange(744) * np.timedelta64(1, "h")
    rng = np.random.default_rng(0)
    long = raw.isel(time=np.zeros(744, int)).assign_coords(time=time)
    for name in ("t", "t2m"):
        long[name] = long[name] + rng.normal(size=long[name].shape).astype(np.float32)
    long.to_netcdf(tmp_path / "month.nc")
    return tmp_path / "month.nc"


@pytest.fixture
def small_blocks(monkeypatch):
    """Makes each time shard a block of its own."""
    monkeypatch.setattr(memory, "_SMALL", 0)


def _bytes(path):
    """What every file holds; of metadata without the time at which it was written."""
    contents = {p.relative_to(path): p.read_bytes() for p in path.rglob("*") if p.is_file()}
    history = rb'"history": "[^"]*"'
    return {name: re.sub(history, b"", content) for name, content in contents.items()}


@pytest.mark.parametrize("packing", ["float32", "int16"])
def test_stopped_work_goes_on_to_the_same_bytes(month, tmp_path, small_blocks, packing):
    options = {"layout": Layout(packing=packing), "workers": 1}
    whole = _prepare(tmp_path / "whole", [month], **options).path
    stopped, said = tmp_path / "out", []
    for number in (1, 5, 20):

        def stop(done, total, after=number):
            if done * 32 / total >= after:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            _prepare(tmp_path, [month], progress=stop, notify=said.append, **options)
        assert sorted(p.name for p in stopped.iterdir()) == ["a.zarr.partial"]
    store = _prepare(tmp_path, [month], notify=said.append, **options)
    assert sum("resuming the work" in sentence for sentence in said) == 3
    assert _bytes(store.path) == _bytes(whole)
    assert [p.name for p in stopped.iterdir()] == ["a.zarr"]


def test_a_worker_that_was_killed_costs_no_work(month, tmp_path, small_blocks):
    def killed(done, total):
        if done > total / 2:
            raise BrokenProcessPool

    with pytest.raises(
        UserError, match="killed, perhaps for lack of memory; finished work is kept"
    ):
        _prepare(tmp_path, [month], progress=killed, workers=1)
    said = []
    _prepare(tmp_path, [month], notify=said.append, workers=1)
    assert any("resuming the work" in sentence for sentence in said)


def test_other_work_is_not_gone_on_with(month, tmp_path, small_blocks):
    def stop(done, total):
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _prepare(tmp_path, [month], progress=stop, workers=1)
    said = []
    store = _prepare(tmp_path, [month], levels=[850], notify=said.append, workers=1)
    assert said == []
    assert store.level.tolist() == [850]


@pytest.mark.parametrize("kind", ["processes", "dask"])
def test_who_does_the_work_makes_no_difference(month, tmp_path, small_blocks, kind):
    # Blocks are cut here; where they are written nothing is patched.
    here = _prepare(tmp_path / "here", [month], workers=1).path
    if kind == "processes":
        there = _prepare(tmp_path, [month], workers=2).path
    else:
        distributed = pytest.importorskip("distributed")
        options = {"n_workers": 1, "threads_per_worker": 2, "dashboard_address": None}
        with distributed.LocalCluster(processes=False, **options) as cluster:
            address = cluster.scheduler_address
            there = _prepare(tmp_path, [month], scheduler=address).path
    assert _bytes(there) == _bytes(here)


def test_no_scheduler(month, tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(executors, "_SECONDS_TO_ANSWER", 1)
    with pytest.raises(UserError, match="no scheduler answers at 'tcp://localhost:1'"):
        _prepare(tmp_path, [month], scheduler="tcp://localhost:1")
    assert not (tmp_path / "out").exists()


def test_values_may_wait_on_the_disk(month, tmp_path, small_blocks, monkeypatch):
    ample = _prepare(tmp_path / "ample", [month], workers=1).path
    monkeypatch.setattr(
        memory.Memory, "cut", lambda self, variable, d: memory.Cut(48, 5, in_memory=False)
    )
    scant = _prepare(tmp_path, [month], workers=1).path
    assert _bytes(scant) == _bytes(ample)


def test_two_may_not_write_one_store(month, tmp_path):
    from atmorep_k.data.writing.preparing import _alone

    (tmp_path / "out").mkdir()
    busy = pytest.raises(UserError, match="being written by another process")
    with _alone(tmp_path / "out" / "a.zarr.partial"), busy:
        _prepare(tmp_path, [month])


@pytest.mark.parametrize("packing", ["float32", "int16"])
def test_packing(month, tmp_path, packing):
    import xarray as xr

    store = _prepare(tmp_path, [month], layout=Layout(packing=packing))
    with xr.open_dataset(month) as source:
        step = np.ptp(source["t2m"].values) * 1.5 / 65532 if packing == "int16" else 0
        surface = xr.open_zarr(store.path, chunks=None)["2m_temperature"]
        error = np.abs(surface.values - source["t2m"].values).max()
    assert error <= step * 0.51


REAL = {
    "xarray_data/era5-2mt-2019-03-uk.grib": ({"2m_temperature"}, (744, 0, 33, 49), ""),
    "wam2layers/ERA5_2022-08-31_ml_u.nc": ({"u_component_of_wind"}, (24, 22, 41, 41), "model"),
    "wam2layers/*tp.nc": ({"total_precipitation"}, (48, 0, 41, 41), ""),
    "prithvi_wxc/MERRA_pres_20200330.nc4": ({"vertical_velocity"}, (8, 14, 31, 49), "model"),
    "prithvi_wxc/MERRA2_400.inst*": ({"2m_temperature"}, (48, 0, 31, 49), ""),
    "prithvi_wxc/MERRA2_400.tavg*": ({"mean_total_precipitation_rate"}, (24, 0, 31, 49), ""),
    "pycontrails/met-era5-cocip1.nc": ({"vertical_velocity"}, (13, 4, 8, 16), "pressure"),
    "neuralgcm/*.nc": ({"temperature"}, (1, 37, 32, 64), "pressure"),
    "metview/forecast_ml.grib": ({"logarithm_of_surface_pressure"}, (1, 137, 34, 48), "model"),
    "topopyscale": ({"geopotential", "geopotential_at_surface"}, (744, 6, 4, 5), "pressure"),
    "reskit/*.nc4": ({"surface_pressure"}, (71, 0, 7, 5), ""),
}


@pytest.mark.parametrize("source", REAL)
def test_real_data(shared_data, tmp_path, source):
    if source.endswith(".grib"):
        pytest.importorskip("eccodes")
    names, shape, level_type = REAL[source]
    before = sorted(p.name for p in shared_data.rglob("*"))
    store = _prepare(tmp_path, [shared_data / source])
    assert names <= set(store.variables)
    sizes = (store.time, store.level, store.latitude, store.longitude)
    assert tuple(map(len, sizes)) == shape
    assert store.attributes["level_type"] == level_type
    assert sorted(p.name for p in shared_data.rglob("*")) == before  # nothing beside the data


def test_real_values_are_kept(shared_data, tmp_path):
    import xarray as xr

    path = shared_data / "prithvi_wxc" / "MERRA_pres_20200330.nc4"
    store = _prepare(tmp_path, [path], variables=["OMEGA"], levels=[72, 34])
    with xr.open_dataset(path) as source:
        for time in (0, 7):
            for level in (34, 72):
                wanted = source["OMEGA"].isel(time=time).sel(lev=level, lat=45.0, lon=-70.0)
                got = store.dataset()["vertical_velocity"].isel(time=time)
                got = got.sel(level=level, latitude=45.0, longitude=-70.0)
                assert float(got) == float(wanted)
    assert store.latitude[0] == 45.0


def test_real_grib_agrees_with_cfgrib(shared_data, tmp_path):
    cfgrib = pytest.importorskip("cfgrib")
    path = shared_data / "xarray_data" / "era5-2mt-2019-03-uk.grib"
    got = _prepare(tmp_path, [path]).dataset()["2m_temperature"]
    (wanted,) = cfgrib.open_datasets(str(path), backend_kwargs={"indexpath": ""})
    np.testing.assert_array_equal(got.values, wanted["t2m"].values)
    np.testing.assert_allclose(got["latitude"], wanted["latitude"])
    np.testing.assert_allclose(got["longitude"], wanted["longitude"])


def test_real_grib_cut_in_half(shared_data, tmp_path):
    pytest.importorskip("eccodes")
    source = shared_data / "xarray_data" / "era5-2mt-2019-03-uk.grib"
    cut = tmp_path / "cut.grib"
    cut.write_bytes(source.read_bytes()[: source.stat().st_size // 2 + 1000])
    with pytest.raises(UserError, match="damaged or truncated"):
        _prepare(tmp_path, [cut])
    assert not (tmp_path / "out").exists()
