"""`check` on stores of every kind: packed, of the original AtmoRep, of real data."""

import os

import numpy as np
import pytest
import zarr

from atmorep_k.data.checking.checks import check
from atmorep_k.data.writing.preparing import prepare

import damaged_stores as stores


def test_packed_values_are_looked_at_as_what_they_stand_for(tmp_path):
    path = stores.pack(stores.write(tmp_path / "a.zarr"), "temperature")
    assert check(path).findings == ()
    array = zarr.open_array(path / "temperature", mode="r+")
    array[5, 1, 2:4, 3] = -32768
    stores.add_checksums(path)
    (found,) = check(path).findings
    assert found.count == 2 and found.levels == (850.0,) and found.first == "2020-01-30T05:00"


def test_store_of_the_original(tmp_path):
    path = stores.write_original(tmp_path / "original.zarr")
    report = check(path, threads=2)
    assert report.may_train
    (found,) = report.findings
    assert found.sentence == "2 variable(s) have no checksums: damage may go unnoticed"
    array = zarr.open_array(path / "data", mode="r+")
    array[9, 0, 1, 4, 5] = np.nan
    found = [f for f in check(path).findings if f.severity == "error"]
    assert [(f.variable, f.count, f.levels) for f in found] == [
        ("u_component_of_wind", 1, (137.0,))
    ]
    assert found[0].latitude == (50.0, 50.0) and found[0].longitude == (50.0, 50.0)


def test_damaged_chunk_of_the_original(tmp_path):
    path = stores.write_original(tmp_path / "original.zarr")
    file = next(p for p in (path / "data_sfc").rglob("*") if p.name.startswith("3."))
    os.truncate(file, file.stat().st_size // 3)
    report = check(path)
    found = [f for f in report.findings if f.severity == "error"]
    assert "cannot be decoded" in found[0].sentence and found[0].variable == "2m_temperature"
    assert (found[0].first, found[0].last) == ("2020-01-31T00:00", "2020-01-31T07:00")
    file.unlink()
    found = [f for f in check(path).findings if f.severity == "error"]
    assert "are missing" in found[0].sentence and found[0].first == "2020-01-31T00:00"


def test_axes_that_the_original_would_refuse(tmp_path):
    path = stores.write_original(tmp_path / "original.zarr")
    array = zarr.open_array(path / "time", mode="r+")
    hours = array[:]
    hours[[4, 5]] = hours[[5, 4]]
    array[:] = hours
    report = check(path)
    assert not report.may_train and "times must ascend" in report.findings[0].sentence
    assert "cannot be opened" in report.looked_at["values"]


@pytest.mark.parametrize(
    "sources",
    [
        ["xarray_data/era5-2mt-2019-03-uk.grib"],
        ["wam2layers/ERA5_2020-01-01_*.nc"],
        ["wam2layers/ERA5_2022-08-31_*.nc"],
        ["prithvi_wxc/MERRA_pres_20200330.nc4"],
        ["prithvi_wxc/MERRA2_400.inst1_2d_asm_Nx.*.nc4"],
        ["pycontrails/met-accf-pl.nc"],
    ],
    ids=lambda sources: sources[0].split("/")[0] + sources[0][-9:-3],
)
def test_no_false_alarm_on_real_data(sources, shared_data, tmp_path):
    if sources[0].endswith("grib"):
        pytest.importorskip("eccodes")
    path = prepare([str(shared_data / name) for name in sources], tmp_path / "a.zarr")
    report = check(path, threads=2)
    assert report.may_train, report.as_text()
    # Where there is no cloud or ozone changes in the last digit, a level has one value.
    words = ("no checksums", "no model can learn from it")
    others = [f for f in report.findings if not any(w in f.sentence for w in words)]
    assert not others, report.as_text()
