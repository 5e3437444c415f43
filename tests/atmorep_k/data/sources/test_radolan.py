"""Radar composites on a regular grid: written here with known rain, and real ones."""

import gzip
import pickle
import sys
import tarfile

import numpy as np
import pytest

from atmorep_k.data.opening import open_store
from atmorep_k.data.sources import radolan
from atmorep_k.data.sources.finding import open_sources
from atmorep_k.data.writing.preparing import prepare
from atmorep_k.errors import UserError

_HEADER = (
    b"RY011505100000120BY1620142VS 3SW   2.21.0PR E-02INT   5GP 900x 900MS 70<asb,boo,ros,hnr,umd,"
    b"pro,ess,fld,drs,neu,nhb,oft,eis,tur,isn,fbg,mem> \x03"
)
_MISSING = 0x29C4  # 2500, which is no data, with its flag
# Corners of the cell in the lower left corner of the grid, as the German Weather Service gives.
_LOWER_LEFT = (46.9526, 3.5889)


def _write(path, values):
    """Writes hundredths of a millimetre (900, 900), the southern row first, as a composite."""
    path.write_bytes(gzip.compress(_HEADER + np.asarray(values, "<u2").tobytes()))
    return path


@pytest.fixture
def wradlib():
    return pytest.importorskip("wradlib")


def _piece(path, grid):
    ((piece,), left_out) = open_sources([str(path)], grid)
    assert left_out == {}
    return piece


def test_rain_is_where_it_fell_and_none_is_lost(wradlib, tmp_path):
    values = np.zeros((900, 900), int)
    values[:10, :10] = 250  # a square of 10 km in the south-west
    values[450:, 600:] = _MISSING
    piece = _piece(_write(tmp_path / "a-dwd---bin.gz", values), 0.1)
    assert piece.name == "total_precipitation" and piece.units == "mm"
    assert piece.time == [np.datetime64("2020-01-01T15:05")]
    rain = pickle.loads(pickle.dumps(piece)).read(0, 1, np.zeros(1, int))[0, 0]
    index, latitude, longitude = radolan._cells(900, 900, 0.1)
    number = np.bincount(index, minlength=rain.size).reshape(rain.shape)
    assert number.sum() == 900 * 900
    wet = np.argwhere(rain > 0)
    assert np.abs(latitude[wet[:, 0]] - _LOWER_LEFT[0]).max() < 0.15
    assert np.abs(longitude[wet[:, 1]] - _LOWER_LEFT[1] - 0.06).max() < 0.2
    assert np.nansum(rain * number) == pytest.approx(100 * 2.5, rel=1e-6)
    row, column = np.abs(latitude - 51.0).argmin(), np.abs(longitude - 13.5).argmin()
    assert np.isnan(rain[row, column])
    assert not np.isnan(rain[row, column - 50])


def test_the_mean_of_everywhere_the_same_is_the_same(wradlib, tmp_path):
    piece = _piece(_write(tmp_path / "a-dwd---bin.gz", np.full((900, 900), 120)), 0.25)
    rain = piece.read(0, 1, np.zeros(1, int))
    np.testing.assert_allclose(rain[np.isfinite(rain)], 1.2, rtol=1e-6)
    assert np.isfinite(rain).mean() > 0.8
    assert np.all(piece.latitude % 0.25 == 0) and np.all(np.diff(piece.longitude) == 0.25)


def test_an_hour_of_five_minutes_as_a_store(wradlib, shared_data, tmp_path):
    files = sorted((shared_data / "radolan").glob("raa01-ry*.gz"))
    store = prepare(list(map(str, files)), tmp_path / "a.zarr", grid=0.1, region=(49, 53, 7, 12))
    store = open_store(store)
    assert np.all(np.diff(store.time) == np.timedelta64(5, "m")) and len(store.time) == 13
    info = store.variables["total_precipitation"]
    assert info.units == "m" and "RY: the sum over the 5 minutes that end at" in info.comment
    rain = store.dataset()["total_precipitation"].values
    assert rain.shape == (13, 41, 51) and rain.min() >= 0 and rain.max() < 0.01


def test_binary_and_ascii_agree(wradlib, shared_data):
    """RADVOR's sum until 07:00 and the gauge-adjusted one until 06:50 correlate on the radar's
    grid with 0.87, turned or displaced ones do not."""
    archive = _piece(shared_data / "radolan" / "RW-20221018.tar.gz", 0.05)
    assert len(archive.time) == 24 and "RW: the sum over the 60 minutes" in archive.comment
    assert archive.time[6] == np.datetime64("2022-10-18T06:50")
    binary = _piece(shared_data / "radolan" / "RQ2210180700_000.gz", 0.05)
    one, other = archive.read(6, 7, np.zeros(1, int)), binary.read(0, 1, np.zeros(1, int))
    both = np.isfinite(one) & np.isfinite(other)
    assert np.corrcoef(one[both], other[both])[0, 1] > 0.85
    assert np.mean(one[both]) == pytest.approx(0.287, abs=0.03)
    later = _piece(shared_data / "radolan" / "RQ2210180700_120.gz", 0.05)
    assert later.time[0] == np.datetime64("2022-10-18T09:00")


def test_mistakes(tmp_path, monkeypatch):
    path = _write(tmp_path / "a-dwd---bin.gz", np.zeros((900, 900), int))
    with pytest.raises(UserError, match=r"give the degrees .* --grid 0\.1"):
        open_sources([str(path)])
    with pytest.raises(UserError, match=r"from 0\.02 to 10, not 0\.001"):
        open_sources([str(path)], 0.001)
    with tarfile.open(tmp_path / "b.tar.gz", "w:gz") as archive:
        archive.add(__file__, "something.py")
    with pytest.raises(UserError, match="compressed by gzip; unpack it first"):
        open_sources([str(tmp_path / "b.tar.gz")], 0.1)
    monkeypatch.setitem(sys.modules, "wradlib.georef", None)
    with pytest.raises(UserError, match=r"atmorep-k\[radar\]"):
        open_sources([str(path)], 0.1)


def test_a_composite_of_another_kind_or_cut_off(wradlib, tmp_path):
    path = tmp_path / "a-dwd---bin.gz"
    path.write_bytes(gzip.compress(_HEADER.replace(b"RY0", b"RX0") + bytes(1620000)))
    with pytest.raises(UserError, match="product 'RX', which is not an amount"):
        open_sources([str(path)], 0.1)
    path.write_bytes(gzip.compress(_HEADER + bytes(1000)))
    piece = _piece(path, 0.1)
    with pytest.raises(UserError, match="damaged, truncated"):
        piece.read(0, 1, np.zeros(1, int))
