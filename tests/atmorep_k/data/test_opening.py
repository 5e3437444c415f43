"""Writing and opening a store: layout, statistics, mistakes, whole or not at all."""

import errno

import google_crc32c
import numpy as np
import pytest
import xarray as xr
import zarr

from atmorep_k.data.opening import open_store
from atmorep_k.data.stores.layout import Layout, StoreDescription
from atmorep_k.data.stores.packing import Packing
from atmorep_k.data.writing.shards import ShardWriter
from atmorep_k.data.writing.write_store import write_store
from atmorep_k.earth.variables import VariableInfo, variable_info
from atmorep_k.errors import UserError

TIME = np.arange("2019-01-30", "2019-02-03", dtype="datetime64[h]")[:70]
LEVEL = np.array([500.0, 850.0])
LATITUDE = np.arange(60.0, 42.0, -0.5)
LONGITUDE = np.arange(-10.0, 12.0, 0.5)
NAMES = ("temperature", "2m_temperature")


def _description(**changes):
    values = {
        "time": TIME,
        "level": LEVEL,
        "latitude": LATITUDE,
        "longitude": LONGITUDE,
        "variables": {name: variable_info(name) for name in NAMES},
        "attributes": {"title": "a title", "level_type": "pressure"},
    }
    return StoreDescription(**{**values, **changes})


@pytest.fixture(scope="module")
def fields():
    rng = np.random.default_rng(0)
    shape = (len(TIME), len(LEVEL), len(LATITUDE), len(LONGITUDE))
    level = rng.normal(270, 10, shape).astype(np.float32)
    return {"temperature": level, "2m_temperature": level[:, :1] + 5}


def _blocks(fields, size):
    for start in range(0, len(TIME), size):
        yield {name: values[start : start + size] for name, values in fields.items()}


@pytest.fixture(scope="module")
def path(fields, tmp_path_factory):
    output = tmp_path_factory.mktemp("stores") / "a.zarr"
    return write_store(output, _description(), _blocks(fields, 7))


def test_values_and_coordinates_come_back(path, fields):
    dataset = open_store(path).dataset()
    np.testing.assert_array_equal(dataset["temperature"].values, fields["temperature"])
    np.testing.assert_array_equal(dataset["2m_temperature"].values, fields["2m_temperature"][:, 0])
    np.testing.assert_array_equal(dataset["time"].values, TIME.astype("datetime64[ns]"))
    np.testing.assert_array_equal(dataset["level"].values, LEVEL)
    np.testing.assert_array_equal(dataset["latitude"].values, LATITUDE)


def test_handle(path):
    store = open_store(str(path))
    np.testing.assert_array_equal(store.time, TIME.astype("datetime64[ns]"))
    np.testing.assert_array_equal(store.level, LEVEL)
    np.testing.assert_array_equal(store.longitude, LONGITUDE)
    assert set(store.variables) == set(NAMES)
    assert store.variables["temperature"] == variable_info("temperature")
    assert store.levels_of("2m_temperature").tolist() == [0]
    assert not store.is_global
    assert store.resolution == (0.5, 0.5)
    with pytest.raises(UserError, match="did you mean 'temperature'"):
        store.statistics("temperatur")


def test_opens_with_xarray_alone_and_without_a_warning(path, recwarn):
    dataset = xr.open_zarr(path, chunks=None)
    assert dataset["temperature"].attrs["standard_name"] == "air_temperature"
    assert dataset["level"].attrs["units"] == "hPa"
    assert dataset.attrs["Conventions"] == "CF-1.11"
    assert dataset.attrs["simulated"] is False
    assert set(dataset.data_vars) == set(NAMES)
    assert not [w for w in recwarn if "onsolidated" in str(w.message)]


def test_tensorstore_reads_the_same(path, fields):
    tensorstore = pytest.importorskip("tensorstore")
    spec = {"driver": "zarr3", "kvstore": f"file://{path}/temperature/"}
    array = tensorstore.open(spec, read=True).result()
    read = array[40:60, :, 3:9, 1:5].read().result()
    np.testing.assert_array_equal(read, fields["temperature"][40:60, :, 3:9, 1:5])


def test_tiles(path):
    array = zarr.open_group(path, mode="r")["temperature"]
    assert array.metadata.dimension_names == ("time", "level", "latitude", "longitude")
    assert array.chunks == (12, 2, 18, 44)  # 36 rows in two equal tiles of at most 30
    assert array.shards == (48, 2, 36, 44)
    large = _description(latitude=np.linspace(90, -90, 721), longitude=np.arange(1440) / 4)
    assert large.tiles("temperature") == ((12, 2, 30, 60), (48, 2, 240, 480))
    assert large.tiles("2m_temperature") == ((12, 30, 60), (48, 240, 480))
    assert large.is_global


def test_statistics_are_those_of_the_values(path, fields):
    stored = open_store(path).statistics("temperature")
    january = TIME.astype("datetime64[M]") == np.datetime64("2019-01")
    assert [a.shape for a in stored.read("global")] == [(12, 2)] * 2
    mean, std = stored.read("grid_point")
    assert mean.shape == std.shape == (12, 2, 36, 44)
    of = fields["temperature"][january].astype(np.float64)
    np.testing.assert_allclose(mean[0], of.mean(0), rtol=1e-6)
    np.testing.assert_allclose(std[0], of.std(0), rtol=1e-5)
    assert np.all(np.isfinite(std)) and np.all(std > 0)
    one_level, _ = open_store(path).statistics("temperature", [1]).read("grid_point", [1, 2])
    np.testing.assert_array_equal(one_level, mean[1:3, 1:])
    assert open_store(path).statistics("2m_temperature").read("global")[0].shape == (12, 1)
    counts = zarr.open_group(path, mode="r")["statistics/temperature_count"][:]
    assert counts.tolist() == [january.sum(), (~january).sum(), *[0] * 10]


@pytest.mark.parametrize("size", [1, 48, 70])
def test_nothing_depends_on_the_blocks(path, fields, tmp_path, size):
    other = write_store(tmp_path / "b.zarr", _description(), _blocks(fields, size))
    np.testing.assert_array_equal(open_store(other).dataset()["temperature"], fields["temperature"])
    ours, theirs = (open_store(p).statistics("temperature") for p in (other, path))
    for scope in ("global", "grid_point"):
        for one, another in zip(ours.read(scope), theirs.read(scope), strict=True):
            np.testing.assert_allclose(one, another, 1e-5)


def test_blocks_of_one_variable_after_the_other(fields, tmp_path):
    blocks = [{name: values} for name, values in fields.items()]
    steps = []
    other = write_store(tmp_path / "b.zarr", _description(), blocks, progress=steps.append)
    np.testing.assert_array_equal(open_store(other).dataset()["temperature"], fields["temperature"])
    assert steps == [0, len(TIME)]


def test_fingerprint_tells_the_data_but_not_the_day(path, fields, tmp_path):
    same = write_store(tmp_path / "same.zarr", _description(), _blocks(fields, 7))
    changed = {**fields, "temperature": fields["temperature"] + 1}
    other = write_store(tmp_path / "other.zarr", _description(), _blocks(changed, 7))
    assert open_store(same).fingerprint == open_store(path).fingerprint
    assert open_store(other).fingerprint != open_store(path).fingerprint


def test_existing_output_is_kept_or_replaced(fields, tmp_path):
    output = tmp_path / "a.zarr"
    write_store(output, _description(), _blocks(fields, 48))
    with pytest.raises(UserError, match="already exists"):
        write_store(output, _description(), _blocks(fields, 48))
    colder = {name: values - 10 for name, values in fields.items()}
    write_store(output, _description(), _blocks(colder, 48), overwrite=True)
    np.testing.assert_array_equal(
        open_store(output).dataset()["temperature"], colder["temperature"]
    )
    assert [p.name for p in tmp_path.iterdir()] == ["a.zarr"]


def test_what_is_no_store_is_never_overwritten(fields, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("dear")
    zarr.open_group(tmp_path / "other.zarr", mode="w", zarr_format=3)
    for name in ("thesis", "other.zarr"):
        with pytest.raises(UserError, match="is not a store"):
            write_store(tmp_path / name, _description(), _blocks(fields, 48), overwrite=True)
    assert (tmp_path / "thesis" / "chapter.tex").read_text() == "dear"
    assert (tmp_path / "other.zarr" / "zarr.json").is_file()


@pytest.mark.parametrize("error", [RuntimeError("reading"), KeyboardInterrupt()])
def test_nothing_is_left_when_the_blocks_fail(fields, tmp_path, error):
    def failing():
        yield next(_blocks(fields, 50))
        raise error

    with pytest.raises(type(error)):
        write_store(tmp_path / "new" / "a.zarr", _description(), failing())
    assert list(tmp_path.iterdir()) == []


def test_failing_replacement_keeps_the_old_store(fields, tmp_path):
    output = write_store(tmp_path / "a.zarr", _description(), _blocks(fields, 48))
    fingerprint = open_store(output).fingerprint
    with pytest.raises(UserError, match="ends after 48 of 70"):
        short = {name: values[:48] for name, values in fields.items()}
        write_store(output, _description(), [short], overwrite=True)
    assert open_store(output).fingerprint == fingerprint
    assert [p.name for p in tmp_path.iterdir()] == ["a.zarr"]


def test_no_room_on_disk(fields, tmp_path, monkeypatch):
    calls = []

    def full(self, *where):
        calls.append(where)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(ShardWriter, "write", full)
    with pytest.raises(UserError, match="the disk is too full to write"):
        write_store(tmp_path / "a.zarr", _description(), _blocks(fields, 70))
    assert len(calls) == 1  # no other shard is begun, which could come back after the removal
    assert list(tmp_path.iterdir()) == []


def test_each_shard_is_read_back(fields, tmp_path, monkeypatch):
    write = ShardWriter._check

    def damaged(self, array, stored):
        write(self, array, stored + 1)

    monkeypatch.setattr(ShardWriter, "_check", damaged)
    with pytest.raises(UserError, match=r"temperature does not read back as it was written"):
        write_store(tmp_path / "a.zarr", _description(), _blocks(fields, 70))


def test_checksums_are_those_of_the_files(path):
    group = zarr.open_group(path, mode="r")
    checksums = group["checksums/temperature"][:]
    assert checksums.shape == (2, 1, 1)
    for number in range(2):
        data = (path / "temperature" / "c" / str(number) / "0" / "0" / "0").read_bytes()
        assert checksums[number, 0, 0] == google_crc32c.value(data)


def test_a_flipped_byte_is_no_value(fields, tmp_path):
    output = write_store(tmp_path / "a.zarr", _description(), _blocks(fields, 70))
    shard = output / "temperature" / "c" / "0" / "0" / "0" / "0"
    data = bytearray(shard.read_bytes())
    data[len(data) // 3] ^= 1
    shard.write_bytes(data)
    with pytest.raises(ValueError, match=r"[Dd]igest|[Cc]hecksum"):
        open_store(output).dataset()["temperature"].values.sum()


@pytest.mark.parametrize("codec", ["lz4", "zstd", "none"])
def test_layout(fields, tmp_path, codec):
    layout = Layout((6, 10, 20), (24, 20, 40), codec)
    output = write_store(tmp_path / "a.zarr", _description(layout=layout), _blocks(fields, 7))
    array = zarr.open_group(output, mode="r")["temperature"]
    assert array.chunks == (6, 2, 10, 20)
    assert array.shards == (24, 2, 20, 40)
    np.testing.assert_array_equal(
        open_store(output).dataset()["temperature"], fields["temperature"]
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"codec": "lz5"}, "did you mean 'lz4'"),
        ({"packing": "int61"}, "did you mean 'int16'"),
        ({"shard": (48, 250, 480)}, "nearest multiple is 240"),
        ({"shard": (48, 240, 0)}, "nearest multiple is 60"),
    ],
)
def test_layouts_that_cannot_be(options, words):
    with pytest.raises(UserError, match=words):
        Layout(**options)


def test_packed_values_come_back_to_half_a_step(fields, tmp_path):
    packings = {
        n: Packing.of_range(v.min(axis=(0, 2, 3)), v.max(axis=(0, 2, 3))) for n, v in fields.items()
    }
    description = _description(layout=Layout(packing="int16"))
    output = write_store(tmp_path / "a.zarr", description, _blocks(fields, 30), packings=packings)
    array = zarr.open_group(output, mode="r")["temperature"]
    assert array.dtype == np.int16
    packing = Packing.of(array.attrs)
    error = np.abs(packing.unpack(array[:]) - fields["temperature"]).max(axis=(0, 2, 3))
    assert np.all(error <= packing.scale * 0.51)
    surface = xr.open_zarr(output, chunks=None)["2m_temperature"]  # CF's scale of one level
    np.testing.assert_allclose(surface, fields["2m_temperature"][:, 0], atol=0.002)


def test_output_below_a_file_cannot_be_written(fields, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        write_store(tmp_path / "file" / "a.zarr", _description(), _blocks(fields, 48))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_missing_values_are_refused_by_name_and_time(fields, tmp_path, bad):
    broken = {name: values.copy() for name, values in fields.items()}
    broken["temperature"][50:, 1, 2, 3] = bad
    with pytest.raises(UserError, match=r"'temperature' .* first at 2019-02-01T02:00"):
        write_store(tmp_path / "a.zarr", _description(), _blocks(broken, 13))
    assert list(tmp_path.iterdir()) == []


def test_block_of_another_shape(fields, tmp_path):
    with pytest.raises(UserError, match="has shape"):
        write_store(
            tmp_path / "a.zarr", _description(), [{"temperature": np.zeros((3, 1, 36, 44))}]
        )
    with pytest.raises(UserError, match="more than 70"):
        write_store(tmp_path / "a.zarr", _description(), [fields, fields])


@pytest.mark.parametrize(
    "changes",
    [
        {"latitude": LATITUDE[::-1]},
        {"longitude": LONGITUDE[::-1]},
        {"level": [850.0, 500.0]},
        {"time": TIME[::-1]},
        {"time": np.repeat(TIME, 2)},
        {"level": []},
        {"variables": {}},
    ],
)
def test_description_out_of_order(changes):
    with pytest.raises(UserError):
        _description(**changes)


def test_half_hours_and_unknown_variables(tmp_path):
    time = np.datetime64("2020-02-28T23:30") + np.arange(3) * np.timedelta64(3, "h")
    info = VariableInfo("1", "", "of my own", False, "handle with care")
    description = _description(time=time, level=[], variables={"mine": info})
    values = np.random.default_rng(0).normal(size=(3, 1, 36, 44))
    store = open_store(write_store(tmp_path / "a.zarr", description, [{"mine": values}]))
    np.testing.assert_array_equal(store.time, time.astype("datetime64[ns]"))
    assert store.variables["mine"] == info
    assert store.level.size == 0
    np.testing.assert_array_equal(store.dataset()["time"], time.astype("datetime64[ns]"))


def test_opening_what_is_no_store(path, tmp_path):
    with pytest.raises(UserError, match=r"did you mean 'a\.zarr'"):
        open_store(path.parent / "b.zarr")
    (tmp_path / "a.nc").write_bytes(b"CDF")
    with pytest.raises(UserError, match=r"is a file, not a store; .* data prepare"):
        open_store(tmp_path / "a.nc")
    with pytest.raises(UserError, match="is a directory, not a store"):
        open_store(tmp_path)
    zarr.open_group(tmp_path / "other.zarr", mode="w", zarr_format=3)
    with pytest.raises(UserError, match="not a store of atmorep_k"):
        open_store(tmp_path / "other.zarr")
