"""Predictions at places: models that know the truth give it back between grid points, too."""

import csv

import numpy as np
import pytest
import xarray as xr

import atmorep_k
from atmorep_k.errors import UserError
from atmorep_k.tasks.point import Point, point
from atmorep_k.tasks.point_report import observed

from known_truth import FIELDS, Answers, members, tell_the_truth, write

TIME = "2020-02-01T06"
PLACES = {
    "inside": (10, 100),
    "beside Greenwich": (-20, -3),
    "beside the date line": (3, 179),
    "north pole": (90, 11),
    "south pole": (-90, 350),
    "grid point": (0, 36),
}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return str(write(tmp_path_factory.mktemp("store") / "global.zarr"))


@pytest.fixture(autouse=True)
def truth(monkeypatch):
    tell_the_truth(monkeypatch)


def expected(store, name, found):
    """What xarray interpolates from the store, continued around the globe: (hour, level, place)."""
    data = xr.open_zarr(store, chunks=None, consolidated=False)[name]
    west = data.assign_coords(longitude=data["longitude"] - 360)
    whole = xr.concat([west, data, west.isel(longitude=[0]).assign_coords(longitude=[360])],
                      "longitude")  # fmt: skip
    hours = found["time"].values[0] + found["prediction_timedelta"].values
    latitude, longitude = (
        xr.DataArray(found[n].values, dims="place") for n in ("latitude", "longitude")
    )
    return whole.sel(time=hours).interp(latitude=latitude, longitude=longitude)


def test_it_is_the_truth_between_grid_points(store):
    model = Answers(["temperature", "2m_temperature"], members)
    found = point(model, store, [TIME], PLACES, batch_size=4)
    assert found["temperature"].dims == ("time", "prediction_timedelta", "number", "level", "place")
    assert list(found["place"].values) == list(PLACES)
    for name in model.fields:
        values = found[name.name].isel(time=0, number=1)
        truth = expected(store, name.name, found)
        if name.name == "temperature":
            truth = truth.sel(level=[500, 850])
        there = values.notnull().all(set(values.dims) - {"prediction_timedelta"})
        assert there.sum() == name.token_size[0]
        np.testing.assert_allclose(values.values[there], truth.values[there], atol=2e-4)


def test_other_places_and_batches_make_no_difference(store):
    def scrambled(truth):
        return np.sin(members(truth) * 3 + truth.sum(axis=(1, 2, 3)).reshape(-1, 1, 1, 1, 1))

    model = Answers(["temperature"], scrambled)
    found = point(model, store, [TIME], PLACES, batch_size=4)
    alone = point(model, store, [TIME], {"south pole": PLACES["south pole"]}, batch_size=1)
    xr.testing.assert_identical(alone, found.sel(place=["south pole"]))


def test_what_a_forecast_of_the_grid_has_there(store):
    found = point(Answers(["temperature"], members), store, [TIME], [(0, 36)], task="interpolate")
    grid = atmorep_k.interpolate(Answers(["temperature"], members), store, [TIME])
    grid = grid["temperature"].sel(latitude=0, longitude=36)
    np.testing.assert_allclose(found["temperature"].isel(place=0), grid, atol=1e-4)


def test_the_files(store, tmp_path):
    model = Answers(["temperature"], members)
    options = {"progress": None, "tokens": 1}
    paths = Point(
        model, store, [TIME], PLACES, output=tmp_path / "a.csv", task="forecast"
    ).present()
    assert [path.name for path in paths] == ["a.csv", "point_temperature.png"]
    assert all(path.stat().st_size > 1000 for path in paths)
    found = point(model, store, [TIME], PLACES, output=tmp_path / "a.nc", **options)
    with (tmp_path / "a.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 2 * len(PLACES)  # hours, levels
    for row in rows:
        members_ = found["temperature"].sel(place=row["place"], level=float(row["level"]))
        lead = np.timedelta64(int(float(row["lead_hours"])), "h")
        members_ = members_.isel(time=0).sel(prediction_timedelta=lead)
        assert float(row["mean"]) == pytest.approx(float(members_.mean()), rel=1e-6)
        assert float(row["spread"]) == pytest.approx(float(members_.std(ddof=1)), rel=1e-4)
        assert row["units"] == "K"
        assert float(row["q50"]) == pytest.approx(float(members_.isel(number=1)), rel=1e-6)


def test_what_was_observed_is_shown_beside(store):
    from atmorep_k.data.opening import open_store

    found = point(Answers(["temperature"], members), store, ["2020-02-01T23"], PLACES)
    series = found["temperature"].isel(time=0).sel(level=850)
    hours = found["time"].values[0] + found["prediction_timedelta"].values
    series = series.assign_coords(hour=("prediction_timedelta", hours))
    series = series.swap_dims(prediction_timedelta="hour").transpose("number", "hour", "place")
    known = observed(open_store(store), FIELDS["temperature"], series)
    assert known.sizes == {"hour": 6, "place": len(PLACES)}
    assert np.isnan(known[-2:]).all() and known[:-2].notnull().all()  # the record ends at 23 UTC


MISTAKES = [
    ({"task": "reconstruct"}, "unknown task 'reconstruct'"),
    ({"places": "none.csv"}, "cannot read places from none.csv"),
    ({"output": "a.txt"}, r"to a\.txt: the name must end in \.csv, \.nc or \.zarr"),
    ({"places": [(10, 60)]}, r"the place '10, 60' \(10, 60\) lies outside .*longitudes 100 to 172"),
    ({"tokens": 9}, "tokens must be 1 to 2"),
    (
        {"task": "interpolate", "tokens": 2},
        "tokens belongs to the task 'forecast', not to 'interp",
    ),
]


@pytest.mark.parametrize(("changes", "message"), MISTAKES)
def test_mistakes(changes, message, tmp_path):
    regional = str(write(tmp_path / "regional.zarr", longitude=100 + 8.0 * np.arange(10)))
    options = {"places": [(0, 120)], **changes}
    with pytest.raises(UserError, match=message):
        point(Answers(["temperature"], members), regional, [TIME], **options)
