"""GRIB files: messages placed by variable, valid time and level; nothing missed, nothing cut."""

import numpy as np
import pytest

from atmorep_k.data.sources.grib import grib_pieces
from atmorep_k.errors import UserError

TIME = np.arange("2020-01-31T18", "2020-01-31T22", dtype="datetime64[h]")
LATITUDE = np.array([52.0, 51.0, 50.0])
LONGITUDE = np.array([-1.0, 0.0, 1.0, 2.0])
SURFACE = np.zeros(1, int)


@pytest.fixture
def messages(known):
    """Temperature on two levels and at 2 m."""
    values = known(time=TIME)
    levels = [
        ("t", "isobaricInhPa", level, time, values[i, j])
        for i, time in enumerate(TIME)
        for j, level in enumerate((500, 850))
    ]
    return [
        *levels,
        *(("2t", "heightAboveGround", 2, t, values[i, 0] + 1) for i, t in enumerate(TIME)),
    ]


def _pieces(path):
    pieces, left_out = grib_pieces(path)
    return {p.name: p for p in pieces}, left_out


def test_messages_find_their_place_in_any_order(messages, known, write_grib, tmp_path):
    shuffled = [messages[i] for i in np.random.default_rng(0).permutation(len(messages))]
    write_grib(tmp_path / "a.grib", shuffled)
    pieces, left_out = _pieces(tmp_path / "a.grib")
    assert left_out == {}
    piece = pieces["temperature"]
    np.testing.assert_array_equal(piece.time, TIME)
    assert (piece.level.tolist(), piece.level_type, piece.units) == ([500, 850], "pressure", "K")
    assert piece.latitude.tolist() == LATITUDE.tolist()
    assert piece.longitude.tolist() == LONGITUDE.tolist()
    values = known(time=TIME)
    np.testing.assert_allclose(piece.read(0, 4, np.arange(2)), values, atol=0.01)
    np.testing.assert_allclose(piece.read(1, 3, np.array([1])), values[1:3, 1:], atol=0.01)
    surface = pieces["2m_temperature"]
    np.testing.assert_allclose(surface.read(0, 4, SURFACE), values[:, :1] + 1, atol=0.01)
    assert [p.name for p in tmp_path.iterdir()] == ["a.grib"]  # no index beside the data


@pytest.mark.parametrize("rows", [1, -1])
@pytest.mark.parametrize("columns", [1, -1])
def test_scanning_modes(messages, known, write_grib, tmp_path, rows, columns):
    turned = [(*m[:4], m[4][::rows, ::columns]) for m in messages]
    write_grib(tmp_path / "a.grib", turned, LATITUDE[::rows], LONGITUDE[::columns])
    pieces, _ = _pieces(tmp_path / "a.grib")
    piece = pieces["temperature"]
    assert piece.latitude.tolist() == LATITUDE.tolist()
    assert piece.longitude.tolist() == LONGITUDE.tolist()
    np.testing.assert_allclose(piece.read(0, 4, np.arange(2)), known(time=TIME), atol=0.01)


def test_forecast_is_placed_by_its_valid_time(messages, write_grib, tmp_path):
    write_grib(tmp_path / "a.grib", messages, step=3)
    pieces, _ = _pieces(tmp_path / "a.grib")
    np.testing.assert_array_equal(pieces["temperature"].time, TIME + np.timedelta64(3, "h"))


def test_ecmwf_files_the_surface_under_model_level_1(messages, write_grib, tmp_path):
    field = messages[0][4]
    hybrid = [("t", "hybrid", level, TIME[0], field) for level in (1, 2)]
    single = [(name, "hybrid", 1, TIME[0], field) for name in ("lnsp", "z")]
    write_grib(tmp_path / "a.grib", [*hybrid, *single])
    pieces, _ = _pieces(tmp_path / "a.grib")
    assert pieces["temperature"].level.tolist() == [1, 2]
    assert pieces["logarithm_of_surface_pressure"].level.size == 0
    assert pieces["geopotential_at_surface"].level.size == 0


@pytest.mark.parametrize("share", [0.45, 0.999])
def test_cut_off(messages, write_grib, tmp_path, share):
    path = tmp_path / "a.grib"
    write_grib(path, messages)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(UserError, match="damaged or truncated"):
        grib_pieces(path)


def test_cut_off_in_the_word_grib_or_followed_by_something_else(messages, write_grib, tmp_path):
    path = tmp_path / "a.grib"
    write_grib(path, messages)
    whole = path.read_bytes()
    path.write_bytes(whole + bytes(200))
    assert len(grib_pieces(path)[0]) == 2  # padded by zeros
    for tail in (whole[:3], whole[:10], b"<html>"):
        path.write_bytes(whole + tail)
        with pytest.raises(UserError, match="damaged or truncated"):
            grib_pieces(path)


def test_damaged_inside(messages, write_grib, tmp_path):
    path = tmp_path / "a.grib"
    write_grib(path, messages)
    whole = path.read_bytes()
    end = whole.index(b"7777")
    path.write_bytes(whole[:end] + b"6666" + whole[end + 4 :])
    with pytest.raises(UserError, match="damaged or truncated"):
        grib_pieces(path)


def test_missing_message_is_named(messages, write_grib, tmp_path):
    write_grib(tmp_path / "a.grib", messages[:3] + messages[4:])
    with pytest.raises(UserError, match=r"no message for 't' at 2020-01-31T19:00:00, level 850"):
        grib_pieces(tmp_path / "a.grib")


def test_message_twice(messages, write_grib, tmp_path):
    write_grib(tmp_path / "a.grib", [*messages, messages[0]])
    with pytest.raises(UserError, match="occurs twice"):
        grib_pieces(tmp_path / "a.grib")


def test_missing_points_are_nan(messages, write_grib, tmp_path):
    name, kind, level, time, values = messages[-1]
    values = values.copy()
    values[1, 2] = np.nan
    write_grib(tmp_path / "a.grib", [(name, kind, level, time, values)])
    (piece,), _ = grib_pieces(tmp_path / "a.grib")
    read = piece.read(0, 1, SURFACE)[0, 0]
    assert np.argwhere(np.isnan(read)).tolist() == [[1, 2]]


def test_heights_are_no_levels(messages, write_grib, tmp_path):
    field = messages[0][4]
    write_grib(
        tmp_path / "a.grib", [("u", "heightAboveGround", z, TIME[0], field) for z in (50, 90)]
    )
    pieces, left_out = grib_pieces(tmp_path / "a.grib")
    assert pieces == []
    assert "'heightAboveGround'" in left_out["u"]
