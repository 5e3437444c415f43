"""What `check` finds in stores that were damaged in one way, and nothing in others."""

import json
import os
import shutil

import numpy as np
import pytest
import zarr
from click.testing import CliRunner

from atmorep_k.cli.data import data
from atmorep_k.data.checking.checks import check
from atmorep_k.errors import UserError

import damaged_stores as stores


@pytest.fixture(scope="module")
def _good(tmp_path_factory):
    return stores.write(tmp_path_factory.mktemp("good") / "good.zarr")


@pytest.fixture
def store(_good, tmp_path):
    """A copy of a store without a fault, to be damaged."""
    return shutil.copytree(_good, tmp_path / "a.zarr")


def _only(report, part, variable="", severity="error"):
    """Returns the only finding of a part and variable; no other may be an error."""
    found = [f for f in report.findings if (f.part, f.variable) == (part, variable)]
    assert len(found) == 1, report.as_text()
    assert found[0].severity == severity
    return found[0]


def _some(*names):
    values = stores.usual_values()
    return {name: values[name] for name in names}


def _change_axis(path, name, function):
    array = zarr.open_array(path / name, mode="r+")
    values = array[:]
    function(values)
    array[:] = values


def _swap(values, i, j):
    values[[i, j]] = values[[j, i]]


def test_nothing_is_found_in_a_good_store(tmp_path):
    store = stores.write(tmp_path / "a.zarr", stores.usual_values())
    for fast in (False, True):
        report = check(store, fast=fast, threads=2)
        assert report.findings == () and report.may_train
    assert "training may start" in report.as_text()


def test_command_prints_findings_and_tells_by_its_exit_code(store):
    result = CliRunner().invoke(data, ["check", str(store)])
    assert result.exit_code == 0 and "0 error(s), 0 warning(s)" in result.stdout
    stores.change(store, "temperature", lambda values: values.__setitem__((50, 1, 3, 4), np.nan))
    result = CliRunner().invoke(data, ["check", str(store), "--json", "--threads", "1"])
    values = json.loads(result.stdout)
    assert result.exit_code == 1 and not values["may_train"] and values["errors"] == 1
    found = values["findings"][0]
    assert found["variable"] == "temperature" and found["first"] == "2020-02-01T02:00"
    assert CliRunner().invoke(data, ["check", str(store), "--fast"]).exit_code == 0


def test_a_store_that_is_not_there_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match="no store at"):
        check(tmp_path / "no.zarr")


def test_patch_of_missing_values_is_told_with_its_first_and_its_box(store):
    def spoil(values):
        values[47:49, 1, 3:5, 6:9] = np.nan
        values[49, 1, 11, 19] = np.inf

    stores.change(store, "temperature", spoil)
    found = _only(check(store), "values", "temperature")
    assert found.count == 2 * 2 * 3 + 1
    assert (found.first, found.last) == ("2020-01-31T23:00", "2020-02-01T01:00")
    assert found.levels == (850.0,)
    assert found.latitude == (54.0, 38.0) and found.longitude == (2.0, 28.0)
    first = "first at 2020-01-31T23:00, level 850, latitude 54, longitude 2"
    assert first in found.sentence and "13 value(s)" in found.line()


def test_threads_change_nothing(store):
    stores.change(store, "temperature", lambda v: v.__setitem__((slice(3, 50), 0, 2, 2), np.nan))
    assert check(store, threads=1) == check(store, threads=4)


def test_lost_shard(store):
    stores.shards(store, "temperature")[(1, 0, 0)].unlink()
    report = check(store)
    found = _only(report, "files", "temperature")
    assert "temperature/c/1/0/0/0" in found.sentence
    assert (found.first, found.last) == ("2020-02-01T00:00", "2020-02-02T11:00")
    # Its values are not called missing as well.
    assert not [f for f in report.findings if f.part == "values"]


def test_truncated_shard(store):
    file = stores.shards(store, "temperature")[(0, 0, 0)]
    os.truncate(file, file.stat().st_size // 2)
    report = check(store)
    assert "do not match their checksum" in _only(report, "files", "temperature").sentence
    found = _only(report, "values", "temperature")
    assert "cannot be decoded" in found.sentence and found.first == "2020-01-30T00:00"


def test_flipped_byte(store):
    file = stores.shards(store, "specific_humidity")[(0, 0, 0)]
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0x10
    file.write_bytes(content)
    for fast in (True, False):
        found = _only(check(store, fast=fast), "files", "specific_humidity")
        assert "1 file(s) do not match" in found.sentence
        assert (found.first, found.last) == ("2020-01-30T00:00", "2020-01-31T23:00")


def test_file_that_no_checksum_knows(store):
    checksums = zarr.open_array(store / "checksums" / "temperature", mode="r+")
    checksums[1] = 0
    assert "have no checksum" in _only(check(store), "files", "temperature").sentence


def test_file_that_belongs_to_no_part(store):
    file = stores.shards(store, "temperature")[(0, 0, 0)]
    stranger = store / "temperature" / "c" / "7" / "0" / "0" / "0"
    stranger.parent.mkdir(parents=True)
    shutil.copy(file, stranger)
    found = _only(check(store, fast=True), "files", "temperature", "warning")
    assert "c/7/0/0/0" in found.sentence


def test_store_without_checksums_is_warned_of_and_may_be_trained_on(store):
    shutil.rmtree(store / "checksums", ignore_errors=True)
    report = check(store)
    assert report.may_train
    assert "have no checksums" in _only(report, "files", severity="warning").sentence


def test_store_written_half(store, tmp_path):
    (tmp_path / "a.zarr.partial-77").mkdir()
    assert "a.zarr.partial-77" in _only(check(store), "files", severity="warning").sentence
    (store / ".append").mkdir()
    assert check(store, fast=True).may_train  # what is new has not come in yet
    (store / ".append").rename(store / ".append-ready")
    report = check(store, fast=True)
    assert not report.may_train and any(".append-ready" in f.sentence for f in report.findings)
    shutil.rmtree(store)
    report = check(store)
    assert not report.may_train and "partial-77" in report.findings[0].sentence


@pytest.mark.parametrize("name", ["time", "statistics", "latitude", "temperature/zarr.json"])
def test_store_that_lacks_a_part(store, name):
    if (store / name).is_dir():
        shutil.rmtree(store / name)
    else:
        (store / name).write_text("{")
    zarr_json = json.loads((store / "zarr.json").read_text())
    zarr_json.pop("consolidated_metadata", None)
    (store / "zarr.json").write_text(json.dumps(zarr_json))
    report = check(store)
    assert not report.may_train
    assert all("\n" not in f.line() for f in report.findings)


def test_array_that_has_not_grown_with_its_axis(store):
    array = zarr.open_array(store / "temperature", mode="r+")
    array.resize((83, *array.shape[1:]))
    _drop_consolidated(store)
    found = _only(check(store), "files", "temperature")
    assert "(83, 2, 12, 20)" in found.sentence and "(84, 2, 12, 20)" in found.sentence


def test_gap(tmp_path):
    time = np.delete(stores.HOURS, [30, 31])
    path = stores.write(tmp_path / "a.zarr", time=time)
    report = check(path)
    found = _only(report, "record", severity="warning")
    assert report.may_train and found.count == 2
    assert (found.first, found.last) == ("2020-01-31T05:00", "2020-01-31T08:00")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.__setitem__(20, t[19]), "occur twice"),
        (lambda t: _swap(t, 20, 21), "times must ascend"),
        (
            lambda t: t.__setitem__(slice(None), t * 60 + 30 * (np.arange(len(t)) > 9)),
            "not a multiple",
        ),
    ],
)
def test_times_in_disorder(store, change, words):
    _change_axis(store, "time", change)
    if words == "not a multiple":
        attributes = zarr.open_array(store / "time", mode="r+").attrs
        attributes["units"] = "minutes since 1970-01-01"
        _drop_consolidated(store)
    report = check(store)
    assert not report.may_train
    found = [f for f in report.findings if f.part == "record" and f.severity == "error"]
    assert any(words in f.sentence and f.first for f in found)


def _drop_consolidated(path):
    metadata = json.loads((path / "zarr.json").read_text())
    metadata.pop("consolidated_metadata", None)
    (path / "zarr.json").write_text(json.dumps(metadata))


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("latitude", lambda v: _swap(v, 3, 4), "not from north to south, first at 54"),
        ("latitude", lambda v: v.__setitem__(3, v[2]), "the value 56 twice"),
        (
            "longitude",
            lambda v: v.__setitem__(slice(9, None), v[9:] + 6),
            "broken between 6 and 14",
        ),
        ("level", lambda v: _swap(v, 0, 1), "not ascending, first at 500"),
        ("level", lambda v: v.__setitem__(1, v[0]), "the value 500 twice"),
        ("latitude", lambda v: v.__setitem__(5, np.nan), "not finite"),
        ("latitude", lambda v: v.__setitem__(slice(None), 5), "the value 5 twice"),
    ],
)
def test_places_in_disorder(store, name, change, words):
    _change_axis(store, name, change)
    # Damage to an axis must not end in a traceback where values are looked at.
    assert words in _only(check(store), "record").sentence


@pytest.mark.parametrize(
    ("name", "slip", "unit"),
    [
        ("temperature", lambda v: v - 273.15, "degC"),
        ("total_precipitation", lambda v: v * 1000, "mm"),
        ("mean_sea_level_pressure", lambda v: v / 100, "hPa"),
        ("geopotential", lambda v: v / 9.80665, "m"),
        ("specific_humidity", lambda v: v * 1000, "g kg-1"),
    ],
)
def test_values_in_other_units_than_is_said(tmp_path, name, slip, unit):
    path = stores.write(tmp_path / "a.zarr", {name: slip(stores.usual_values()[name])})
    found = _only(check(path), "values", name)
    units = {"K", "m", "Pa", "m2 s-2", "kg kg-1"}
    said = found.sentence.split("the attribute says ")[1]
    assert f"looks like {unit}, " in found.sentence and said in units


def test_part_of_a_record_in_other_units(tmp_path):
    values = _some("temperature", "vertical_velocity")
    february = stores.HOURS.astype("datetime64[M]") == np.datetime64("2020-02")
    values["temperature"][february] -= 273.15
    values["vertical_velocity"][february] /= 100
    report = check(stores.write(tmp_path / "a.zarr", values))
    found = _only(report, "values", "temperature")
    assert "degC" in found.sentence and (found.first, found.last) == ("2020-02", "2020-02")
    # Its mean is zero in any unit, but its size tells.
    found = _only(report, "values", "vertical_velocity")
    assert "hPa s-1" in found.sentence and found.first == "2020-02"


def test_values_that_cannot_be(store):
    stores.change(store, "temperature", lambda values: values.__setitem__((7, 0, 1, 2), 400))
    found = _only(check(store), "values", "temperature")
    assert found.count == 1 and found.levels == (500.0,)
    assert "first at 2020-01-30T07:00, level 500, latitude 58, longitude -6" in found.sentence


def test_rounding_below_zero_is_no_error(store):
    def spoil(values):
        values[3, 2, 2] = -1e-6

    stores.change(store, "total_precipitation", spoil)
    assert check(store).findings == ()
    stores.change(store, "total_precipitation", lambda values: values.__setitem__((3, 2, 2), -2e-3))
    assert _only(check(store), "values", "total_precipitation", "warning").count == 1


def test_frozen_hours(store):
    def freeze(values):
        values[48] = values[47]  # from one shard to the next
        values[20, 1] = values[19, 1]

    stores.change(store, "temperature", freeze)
    found = _only(check(store), "values", "temperature")
    assert "the same everywhere as the step before" in found.sentence and found.count == 3
    assert (found.first, found.last) == ("2020-01-30T20:00", "2020-02-01T00:00")


def test_hour_of_one_value(store):
    stores.change(store, "temperature", lambda values: values.__setitem__((9, 1), 280.0))
    found = _only(check(store), "values", "temperature")
    assert "one value everywhere" in found.sentence and found.first == "2020-01-30T09:00"
    stores.change(store, "total_precipitation", lambda values: values.__setitem__(9, 0.0))
    assert not [f for f in check(store).findings if f.variable == "total_precipitation"]


def test_constant_level(tmp_path):
    values = _some("temperature")
    values["temperature"][:, 1] = 280
    report = check(stores.write(tmp_path / "a.zarr", values))
    found = _only(report, "values", "temperature", "warning")
    assert "no model can learn" in found.sentence and found.levels == (850.0,)
    fast = check(tmp_path / "a.zarr", fast=True)
    assert _only(fast, "statistics", "temperature", "warning").levels == (850.0,)
    values["temperature"][:] = 280
    report = check(stores.write(tmp_path / "b.zarr", values))
    assert _only(report, "values", "temperature").levels == (500.0, 850.0)


def _statistic(path, key, function):
    _change_axis(path, f"statistics/temperature_{key}", function)


def test_statistics_that_do_not_fit(store):
    _statistic(store, "mean", lambda values: values.__setitem__((0, 1), 0.0))
    found = _only(check(store), "statistics", "temperature")
    assert "differ greatly" in found.sentence and found.levels == (850.0,)
    _statistic(store, "mean", lambda values: values.__setitem__((0, 1), np.nan))
    for fast in (True, False):
        found = _only(check(store, fast=fast), "statistics", "temperature")
        assert "not finite" in found.sentence


def test_statistics_that_are_not_there(store):
    _drop_consolidated(store)
    shutil.rmtree(store / "statistics" / "temperature_std")
    metadata = json.loads((store / "statistics" / "zarr.json").read_text())
    metadata.pop("consolidated_metadata", None)
    (store / "statistics" / "zarr.json").write_text(json.dumps(metadata))
    assert "cannot be read" in _only(check(store), "statistics", "temperature").sentence


def test_statistics_of_a_grid_point(store):
    _statistic(store, "mean_grid", lambda values: values.__setitem__((1, 0, 3, 3), np.nan))
    found = _only(check(store), "statistics", "temperature")
    assert "grid points" in found.sentence and found.levels == (500.0,)


def test_fingerprint(store):
    zarr.open_group(store, mode="r+").attrs["fingerprint"] = "abc"
    assert "fingerprint" in _only(check(store, fast=True), "statistics").sentence
