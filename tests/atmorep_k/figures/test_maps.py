import sys
import types

import numpy as np
import pytest
import xarray as xr

from atmorep_k.figures import maps


def picture(longitude, levels=(500, 850), hidden=None, target=None):
    shape = (len(levels), 4, 3, len(longitude))
    rng = np.random.default_rng(0)
    target = 270 + rng.normal(size=shape) if target is None else np.broadcast_to(target, shape)
    if hidden is None:
        hidden = np.zeros(shape, bool)
        hidden[:, 2:, 1:] = True
    dims = ("level", "time", "latitude", "longitude")
    spread = np.where(hidden, 1.0, np.nan)
    arrays = {"target": target, "prediction": target + hidden, "spread": spread, "hidden": hidden}
    times = np.datetime64("2019-03-24T21", "ns") + np.arange(4) * np.timedelta64(1, "h")
    places = (list(levels), times, np.array([60.0, 50.0, 40.0]), np.asarray(longitude))
    attributes = {"units": "K", "long_name": "temperature", "number": 8}
    return xr.Dataset(
        {n: (dims, a) for n, a in arrays.items()},
        dict(zip(dims, places, strict=True)),
        attributes | {"has_level": len(levels) > 1, "level_units": "hPa"},
    )


def meshes(axes):
    return [c for c in axes.collections if type(c).__name__ == "QuadMesh"]


def test_window_across_the_meridian_is_drawn_unbroken():
    figure = maps.prediction_maps(picture([340.0, 350.0, 0.0, 10.0]), "Forecast")
    left, right = figure.axes[0].get_xlim()
    assert (left, right) == (-25, 15)
    np.testing.assert_array_equal(maps.unwrap(np.array([170, 180, -170])), [-190, -180, -170])
    np.testing.assert_array_equal(maps.unwrap(np.array([-10, 0, 10])), [-10, 0, 10])
    np.testing.assert_array_equal(maps.unwrap(np.array([355, 359, 3])), [-5, -1, 3])


def test_panels_show_error_and_spread_only_where_hidden():
    shown = picture([0.0, 10.0, 20.0])
    figure = maps.prediction_maps(shown, "Forecast")
    target, prediction, error, spread = (meshes(a)[0] for a in figure.axes[:4])
    assert target.get_clim() == prediction.get_clim()
    assert error.get_clim() == (-1, 1)
    hidden = shown["hidden"].values[0, -1]
    values = np.ma.filled(error.get_array(), np.nan)
    np.testing.assert_allclose(values[hidden], 1)
    assert np.isnan(values[~hidden]).all()
    assert np.ma.getmaskarray(spread.get_array())[~hidden].all()
    assert "2019-03-25 00:00 UTC" in figure.axes[0].get_ylabel()
    assert "level 500 hPa" in figure.axes[0].get_ylabel()


def test_without_a_target_there_is_no_error():
    shown = picture([0.0, 10.0, 20.0])
    shown["target"][:, 2:] = np.nan
    titles = [a.get_title(loc="left") for a in maps.prediction_maps(shown, "Forecast").axes[:4]]
    assert titles == ["Prediction, mean of 8 members", "Spread, standard deviation", "", ""]


@pytest.mark.parametrize(("target", "symmetric"), [(None, False), ([-3.0, 0.0, 4.0], True)])
def test_signed_fields_have_zero_in_the_middle(target, symmetric):
    figure = maps.prediction_maps(picture([0.0, 10.0, 20.0], target=target), "Forecast")
    low, high = meshes(figure.axes[0])[0].get_clim()
    assert (low == -high) == symmetric


def test_outline_surrounds_what_is_hidden():
    hidden = np.zeros((4, 5), bool)
    hidden[1:3, 2:4] = True
    segments = maps.masked_outline(hidden, np.arange(6.0), np.arange(5.0))
    lengths = np.abs(np.diff(segments, axis=1)).sum(axis=(1, 2))
    assert lengths.sum() == 8  # the perimeter of 2 x 2 cells
    assert segments[..., 0].min() == 2 and segments[..., 0].max() == 4
    assert segments[..., 1].min() == 1 and segments[..., 1].max() == 3
    assert len(maps.masked_outline(~np.zeros((4, 5), bool), np.arange(6.0), np.arange(5.0))) == 0


def test_shown_time_is_the_hardest():
    hidden = np.zeros((6, 2, 2), bool)
    hidden[4:] = True
    assert maps.shown_time(hidden) == 5  # the longest lead time of a forecast
    hidden[:] = False
    hidden[1:4] = True
    assert maps.shown_time(hidden) == 2  # the middle of a gap
    hidden[3, 0, 0] = False
    assert maps.shown_time(hidden) in (1, 2)
    assert maps.shown_time(np.ones((6, 2, 2), bool)) == 3


@pytest.mark.parametrize(
    ("steps", "words"),
    [(slice(2, 4), "2 h after the last visible"), (slice(0, 2), "2 h before the next visible")],
)
def test_distance_to_what_was_seen_is_said(steps, words):
    hidden = np.zeros((1, 4, 3, 3), bool)
    hidden[:, steps] = True
    shown = picture([0.0, 10.0, 20.0], levels=(0,), hidden=hidden)
    label = maps.prediction_maps(shown, "Forecast").axes[0].get_ylabel()
    assert words in label and "level" not in label


def test_coastlines_are_drawn_at_every_turn_of_the_globe():
    line = np.array([[-5.0, 45.0], [5.0, 55.0]])
    figure = maps.prediction_maps(picture([340.0, 350.0, 0.0, 10.0]), "Forecast", [line])
    drawn = [np.array(p.vertices) for p in figure.axes[0].collections[2].get_paths()]
    assert any(np.array_equal(path, line) for path in drawn)
    assert figure.axes[0].get_xlim() == (-25, 15)


def write_coastline(folder, scale):
    shapefile = pytest.importorskip("shapefile")
    folder = folder / "shapefiles" / "natural_earth" / "physical"
    folder.mkdir(parents=True, exist_ok=True)
    with shapefile.Writer(str(folder / f"ne_{scale}_coastline"), shapefile.POLYLINE) as writer:
        writer.field("name", "C")
        writer.line([[[0, 50], [1, 51]], [[5, 50], [6, 51], [7, 52]]])
        writer.record("coast")


@pytest.mark.parametrize("variable", ["CARTOPY_DATA_DIR", "XDG_DATA_HOME"])
def test_coastlines_come_from_disk_and_are_never_fetched(tmp_path, monkeypatch, variable):
    monkeypatch.setenv("CARTOPY_DATA_DIR", str(tmp_path / "none"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "none"))
    package = types.SimpleNamespace(origin=str(tmp_path / "none" / "__init__.py"))
    monkeypatch.setattr(maps.importlib.util, "find_spec", lambda name: package)
    monkeypatch.setitem(sys.modules, "cartopy", None)  # importing it would fail
    assert maps.coastlines() == []
    folder = tmp_path if variable == "CARTOPY_DATA_DIR" else tmp_path / "cartopy"
    write_coastline(folder, "110m")
    monkeypatch.setenv(variable, str(tmp_path))
    assert [len(line) for line in maps.coastlines()] == [2, 3]
    np.testing.assert_array_equal(maps.coastlines()[1], [[5, 50], [6, 51], [7, 52]])


def test_no_cartopy_no_coastlines(monkeypatch):
    monkeypatch.setattr(maps.importlib.util, "find_spec", lambda name: None)
    assert maps.coastlines() == []
