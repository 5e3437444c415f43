"""Stores whose values stay where they were found."""

import os

import numpy as np
import pytest
import xarray as xr

from atmorep_k.data.checking.checks import check
from atmorep_k.data.checking.info import describe_store
from atmorep_k.data.opening import open_store
from atmorep_k.data.writing.appending import append
from atmorep_k.data.writing.preparing import prepare
from atmorep_k.errors import UserError


@pytest.fixture
def source(raw, tmp_path):
    raw.to_netcdf(tmp_path / "a.nc")
    return tmp_path / "a.nc"


@pytest.fixture
def path(source, tmp_path):
    return prepare([str(source)], tmp_path / "linked.zarr", link=True)


def test_it_holds_what_a_store_of_values_holds_but_these(source, path, tmp_path):
    other = open_store(prepare([str(source)], tmp_path / "values.zarr"))
    store = open_store(path)
    assert not (path / "temperature").exists()
    assert store.variables == other.variables
    assert store.fingerprint == other.fingerprint
    for name in store.variables:
        for scope in ("global", "grid_point"):
            ours, theirs = (s.statistics(name).read(scope) for s in (store, other))
            np.testing.assert_array_equal(ours, theirs)
    dataset, wanted = store.dataset(), other.dataset()
    assert dataset["temperature"].dims == wanted["temperature"].dims
    for name in store.variables:
        np.testing.assert_array_equal(dataset[name], wanted[name])
    part = {"time": slice(7, 3, -2), "latitude": 1, "longitude": slice(1, 3)}
    np.testing.assert_array_equal(
        dataset["temperature"].isel(part), wanted["temperature"].isel(part)
    )
    np.testing.assert_array_equal(dataset["temperature"][5], wanted["temperature"][5])
    assert dataset["temperature"][3:3, 0].values.shape == (0, 3, 4)


def test_some_time_steps(path, known):
    read = open_store(path).read("temperature", slice(2, 9, 3))
    np.testing.assert_array_equal(read, known()[2:9:3])


def test_selected_and_derived(raw, tmp_path):
    raw["u"] = raw["t"] * 1.0
    raw["v"] = raw["t"] * 2.0
    for name in "uv":
        raw[name].attrs["units"] = "m s-1"
    raw.to_netcdf(tmp_path / "a.nc")
    options = {
        "variables": ["u", "v"],
        "levels": [850],
        "derived": ["vorticity"],
        "region": (50, 52, 0, 2),
    }
    store, other = (
        open_store(
            prepare([str(tmp_path / "a.nc")], tmp_path / f"{link}.zarr", link=link, **options)
        )
        for link in (True, False)
    )
    assert set(store.variables) == {"u_component_of_wind", "v_component_of_wind", "vorticity"}
    for name in store.variables:
        np.testing.assert_array_equal(store.dataset()[name], other.dataset()[name])


def test_sources_that_changed_or_went(source, path, raw):
    os.utime(source, (0, 0))
    with pytest.raises(UserError, match=r"a\.nc has changed since .* was made from it"):
        open_store(path).dataset()
    source.unlink()
    with pytest.raises(UserError, match=r"values of .* are in .*a\.nc, which does not exist"):
        open_store(path).dataset()


def test_it_is_checked_where_its_values_lie(raw, tmp_path):
    for name in ("t", "t2m"):
        values = np.random.default_rng(0).normal(280, 5, raw[name].shape).astype(np.float32)
        raw[name] = raw[name].copy(data=values)
    source = tmp_path / "likely.nc"
    raw.to_netcdf(source)
    path = prepare([str(source)], tmp_path / "likely.zarr", link=True)
    report = check(path)
    assert not [f for f in report.findings if f.severity == "error"]
    assert describe_store(path, scan=True)["variables"]["temperature"]["missing_values"] == 0
    stat = source.stat()
    with xr.open_dataset(source) as opened:
        damaged = opened.load()
    damaged["t2m"][3, 1, 1] = np.nan
    damaged.to_netcdf(other := tmp_path / "other.nc")
    assert other.stat().st_size == stat.st_size
    other.replace(source)
    os.utime(source, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    (found,) = [f for f in check(path).findings if f.severity == "error" and f.part == "values"]
    assert found.variable == "2m_temperature" and found.first == "2020-01-31T21:00"


def test_it_does_not_grow(source, path):
    with pytest.raises(UserError, match="it cannot grow"):
        append(path, [str(source)])


def test_missing_values_are_refused(raw, tmp_path):
    raw["t2m"][4, 1, 1] = np.nan
    raw.to_netcdf(tmp_path / "a.nc")
    with pytest.raises(UserError, match=r"'2m_temperature' has missing .* 2020-01-31T22:00"):
        prepare([str(tmp_path / "a.nc")], tmp_path / "linked.zarr", link=True)
    assert not (tmp_path / "linked.zarr").exists()
