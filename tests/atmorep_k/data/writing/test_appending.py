"""Months that join a store."""

import shutil
import time

import numpy as np
import pytest
import zarr

from atmorep_k.data.opening import open_store
from atmorep_k.data.stores.layout import Layout
from atmorep_k.data.writing import appending as module
from atmorep_k.data.writing import memory
from atmorep_k.data.writing.appending import append
from atmorep_k.data.writing.preparing import prepare
from atmorep_k.errors import UserError

HOURS, FIRST = 200, 110  # the first part ends within a shard and within a chunk


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Makes each time shard a block of its own."""
    monkeypatch.setattr(memory, "_SMALL", 0)


@pytest.fixture
def record(raw):
    """200 hours from January into February, with `t` on two levels and `t2m`."""
    hours = np.datetime64("2020-01-28T00", "ns") + np.arange(HOURS) * np.timedelta64(1, "h")
    rng = np.random.default_rng(0)
    long = raw.isel(time=np.zeros(HOURS, int)).assign_coords(time=hours)
    for name in ("t", "t2m"):
        values = rng.normal(270, 9, size=long[name].shape).astype(np.float32)
        long[name] = long[name].copy(data=values)
    return long


@pytest.fixture
def parts(record, tmp_path):
    """Two files: 110 hours, and the rest."""
    paths = [tmp_path / "first.nc", tmp_path / "rest.nc"]
    record.isel(time=slice(0, FIRST)).to_netcdf(paths[0])
    record.isel(time=slice(FIRST, None)).to_netcdf(paths[1])
    return [str(p) for p in paths]


def _store(parts, path, **layout):
    return prepare(parts, path, layout=Layout(**layout), workers=1)


def _files(path):
    return {p.relative_to(path): p.read_bytes() for p in path.rglob("*") if p.is_file()}


@pytest.mark.parametrize("codec", ["lz4", "zstd", "none"])
def test_a_store_that_grew_is_that_of_all_at_once(parts, tmp_path, codec):
    whole = _store(parts, tmp_path / "whole.zarr", codec=codec)
    grown = append(_store(parts[:1], tmp_path / "a.zarr", codec=codec), parts[1:], workers=1)
    ours, theirs = _files(grown), _files(whole)
    assert set(ours) == set(theirs)
    shards = [p for p in ours if p.parts[0] in ("temperature", "2m_temperature", "checksums")]
    assert len(shards) > 10
    assert all(ours[p] == theirs[p] for p in shards if p.name != "zarr.json")
    one, other = open_store(grown), open_store(whole)
    np.testing.assert_array_equal(one.time, other.time)
    for name in one.variables:
        for scope in ("global", "grid_point"):
            pairs = zip(
                one.statistics(name).read(scope), other.statistics(name).read(scope), strict=True
            )
            for got, wanted in pairs:
                np.testing.assert_allclose(got, wanted, rtol=1e-6)
        counts = [
            zarr.open_group(p, mode="r")[f"statistics/{name}_count"][:] for p in (grown, whole)
        ]
        np.testing.assert_array_equal(*counts)
    assert one.fingerprint != open_store(_store(parts[:1], tmp_path / "b.zarr")).fingerprint


def test_packed_stores_keep_their_packing(record, parts, tmp_path):
    store = _store(parts[:1], tmp_path / "a.zarr", packing="int16")
    before = dict(zarr.open_array(store / "temperature").attrs)
    append(store, parts[1:], workers=1)
    array = zarr.open_array(store / "temperature")
    assert dict(array.attrs) == before
    scale = np.array(before["packing_scale"])[:, None, None]
    got = array[:] * scale + np.array(before["packing_offset"])[:, None, None]
    assert np.all(np.abs(got - record["t"].values) <= scale * 0.51)
    record["t"][-1] += 40000.0
    record.to_netcdf(tmp_path / "hot.nc")
    other = _store(parts[:1], tmp_path / "b.zarr", packing="int16")
    kept = _files(other)
    with pytest.raises(UserError, match="do not fit the 16 bits"):
        append(other, [tmp_path / "hot.nc"], workers=1)
    assert _files(other) == kept


def test_provenance(parts, tmp_path):
    store = append(_store(parts[:1], tmp_path / "a.zarr"), parts[1:], workers=1)
    attributes = open_store(store).attributes
    (added,) = attributes["appended"]
    assert added == {
        "first": "2020-02-01T14:00",
        "last": "2020-02-05T07:00",
        "source": "1 file(s): rest.nc",
    }
    assert attributes["history"].count("\n") == 1
    assert "first.nc" in attributes["source"]


def test_times_that_are_there_already_are_left_out(record, parts, tmp_path):
    store, said = _store(parts[:1], tmp_path / "a.zarr"), []
    append(store, parts, notify=said.append, workers=1)
    assert said == ["left out 110 times up to 2020-02-01T13:00, where the store ends."]
    np.testing.assert_array_equal(open_store(store).dataset()["temperature"], record["t"])
    with pytest.raises(UserError, match=r"nothing to append: .* ends at 2020-02-05T07:00"):
        append(store, parts, workers=1)


def test_open_readers_go_on_with_what_they_had(record, parts, tmp_path):
    tensorstore = pytest.importorskip("tensorstore")
    store = _store(parts[:1], tmp_path / "a.zarr")
    spec = {
        "driver": "zarr3",
        "kvstore": f"file://{store}/temperature/",
        "recheck_cached_data": "open",
    }
    context = tensorstore.Context({"cache_pool": {"total_bytes_limit": 2**27}})
    array = tensorstore.open(spec, read=True, context=context).result()
    dataset = open_store(store).dataset()
    first = array[96:FIRST, :, :1].read().result()
    append(store, parts[1:], workers=1)
    wanted = record["t"].values[:FIRST]
    np.testing.assert_array_equal(first, wanted[96:, :, :1])
    np.testing.assert_array_equal(array.read().result(), wanted)
    np.testing.assert_array_equal(dataset["temperature"].values, wanted)


class _Stop(BaseException):
    """Stands for a process that is killed."""


@pytest.mark.parametrize("after", [0.0, 0.3, 1.0])
def test_stopped_while_writing_the_old_store_is_what_it_was(parts, tmp_path, after):
    store = _store(parts[:1], tmp_path / "a.zarr")
    before, said = _files(store), []

    def stop(done, total):
        if done >= after * total:
            raise _Stop

    with pytest.raises(_Stop):
        append(store, parts[1:], workers=1, progress=stop)
    after_stop = _files(store)
    assert {p: c for p, c in after_stop.items() if p.parts[0] != ".append"} == before
    assert len(open_store(store).time) == FIRST
    time.sleep(1.0)  # what is written down of the day makes no difference
    append(store, parts[1:], workers=1, notify=said.append)
    assert said == [f"resuming the work found in {store}/.append."]
    assert len(open_store(store).time) == HOURS
    assert not list(store.glob(".append*"))


@pytest.mark.parametrize("after", [0, 1, 7, 20])
def test_stopped_while_files_change_places(record, parts, tmp_path, monkeypatch, after):
    store = _store(parts[:1], tmp_path / "a.zarr")
    replace, number = module.os.replace, 0

    def stop(source, target):
        nonlocal number
        if ".append-ready" in str(source):
            if number == after:
                raise _Stop
            number += 1
        replace(source, target)

    monkeypatch.setattr(module.os, "replace", stop)
    with pytest.raises(_Stop):
        append(store, parts[1:], workers=1)
    monkeypatch.setattr(module.os, "replace", replace)
    dataset = open_store(store).dataset()  # as it was
    np.testing.assert_array_equal(dataset["temperature"][:FIRST], record["t"][:FIRST])
    module.move_into_store(store)
    np.testing.assert_array_equal(open_store(store).dataset()["temperature"], record["t"])
    assert not list(store.glob(".append*"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.isel(longitude=slice(0, 3)), "different grids: longitude"),
        (lambda d: d.isel(level=[1]), "no level 500"),
        (lambda d: d[["t"]], "unknown variable in the sources 't2m'"),
        (
            lambda d: d.isel(time=slice(1, None, 2)).assign_coords(
                time=d["time"].values[1::2] + np.timedelta64(30, "m")
            ),
            "irregular",
        ),
    ],
)
def test_sources_that_do_not_fit(record, parts, tmp_path, change, words):
    store = _store(parts[:1], tmp_path / "a.zarr")
    before = _files(store)
    change(record.isel(time=slice(FIRST, None))).to_netcdf(tmp_path / "other.nc")
    with pytest.raises(UserError, match=words):
        append(store, [tmp_path / "other.nc"], workers=1)
    assert _files(store) == before


def test_other_units(record, parts, tmp_path):
    record["t"].attrs["units"] = record["t2m"].attrs["units"] = "furlong"
    store = _store(parts[:1], tmp_path / "a.zarr")
    record.isel(time=slice(FIRST, None)).to_netcdf(tmp_path / "other.nc")
    with pytest.raises(UserError, match=r"is in furlong in the sources, and in K in"):
        append(store, [tmp_path / "other.nc"], workers=1)


def test_a_missing_value_leaves_the_store_as_it_was(record, parts, tmp_path):
    store = _store(parts[:1], tmp_path / "a.zarr")
    before = _files(store)
    record["t2m"][150, 0, 0] = np.nan
    record.to_netcdf(tmp_path / "nan.nc")
    with pytest.raises(UserError, match=r"'2m_temperature' has missing .* 2020-02-03T06:00"):
        append(store, [tmp_path / "nan.nc"], workers=1)
    assert _files(store) == before


def test_only_our_stores_grow(parts, tmp_path):
    store = _store(parts[:1], tmp_path / "a.zarr")
    shutil.rmtree(store / "checksums")
    with pytest.raises(UserError, match="written by an earlier version"):
        append(store, parts[1:])
