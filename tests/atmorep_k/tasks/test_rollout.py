"""Forecasts that are fed back: models whose course is known in closed form."""

import numpy as np
import pytest
import xarray as xr
from drifting import STEPS, Drifts
from whole_records import windows_of

import atmorep_k
from atmorep_k.errors import UserError
from atmorep_k.tasks.rollout import rollout

from known_truth import Answers, members, tell_the_truth, values_of, write

TIME = "2020-02-01T06"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return str(write(tmp_path_factory.mktemp("store") / "global.zarr"))


def drift(store, found, name="temperature"):
    """How far a rollout is from the last hour known, in standard deviations, and that hour."""
    model = Drifts([name])
    windows_of(store, model.fields, model.normalizers)
    hour = found["time"].values
    last = xr.open_zarr(store, chunks=None, consolidated=False)[name].sel(time=hour)
    last = last.sel(longitude=found["longitude"].values % 360, latitude=found["latitude"].values)
    _, std = model.normalizers[name].scale(hour, np.arange(1), np.arange(1))
    moved = found[name].isel(time=0) - last.isel(time=0)
    return moved / xr.DataArray(std[:, 0, 0, 0], dims="level")


@pytest.mark.parametrize(
    "case", [{}, {"overlap": (1, 2)}, {"region": (-50, 50, 300, 120)}], ids=str
)
def test_trajectories_go_their_own_ways(store, case):
    found = rollout(Drifts(), store, [TIME], hours=7, feed="members", **case)
    hours = found["prediction_timedelta"] / np.timedelta64(1, "h")
    np.testing.assert_array_equal(hours, np.arange(1, 9))  # four rounds of two hours
    round_ = np.repeat([1, 2, 3, 4], 2)
    expected = round_[:, None] * STEPS
    moved = drift(store, found).transpose("prediction_timedelta", "number", ...).values
    np.testing.assert_allclose(moved, np.broadcast_to(expected[..., None, None, None], moved.shape),
                               atol=1e-3)  # fmt: skip


def test_the_mean_is_fed(store):
    found = rollout(Drifts(), store, [TIME], hours=6, feed="mean")
    moved = drift(store, found).mean(["level", "latitude", "longitude"])
    before = np.repeat([0, 1, 2], 2) * STEPS.mean()
    expected = before[:, None] + STEPS
    np.testing.assert_allclose(moved.transpose(..., "number"), expected, atol=1e-3)


def test_members_are_drawn_anew(store):
    found = [rollout(Drifts(), store, [TIME], hours=6, feed="random", seed=s) for s in (0, 0, 1)]
    xr.testing.assert_identical(found[0], found[1])
    assert not found[0]["temperature"].equals(found[2]["temperature"])
    moved = drift(store, found[0]).mean(["level", "latitude", "longitude"])
    each = moved.isel(prediction_timedelta=slice(None, None, 2)).transpose(..., "number").values
    steps = np.diff(np.concatenate([np.zeros((1, 3)), each]), axis=0)
    for of_round in steps:  # each member of the tails is used once in a round
        np.testing.assert_allclose(np.sort(of_round), np.sort(STEPS), atol=1e-3)


def test_the_first_round_is_a_forecast(store, monkeypatch):
    found = rollout(Drifts(), store, [TIME], hours=2)
    forecast = atmorep_k.forecast(Drifts(), store, [TIME])
    np.testing.assert_array_equal(found["temperature"], forecast["temperature"])
    tell_the_truth(monkeypatch)  # which a model that knows it gives back, whatever it is fed with
    found = rollout(Answers(["temperature"], members), store, [TIME], hours=8)
    expected = values_of(store, "temperature", found)[:, :, [0, 2]]
    np.testing.assert_allclose(found["temperature"].isel(number=1), expected, atol=1e-3)


def test_far_beyond_the_record_and_into_a_file(store, tmp_path):
    done = []
    options = {"output": tmp_path / "far.nc", "progress": lambda *of: done.append(of)}
    with rollout(Drifts(), store, ["2020-02-01T20", "2020-02-01T23"], hours=30, **options) as found:
        assert found["temperature"].notnull().all()
        assert found.sizes["prediction_timedelta"] == 30 and found.attrs["feed"] == "members"
        assert found["temperature"].attrs["units"] == "K"
        moved = drift(store, found.isel(time=[1])).isel(prediction_timedelta=-1)
        np.testing.assert_allclose(moved.mean(["level", "latitude", "longitude"]), 15 * STEPS,
                                   atol=1e-2)  # fmt: skip
    assert done[-1] == (2 * (1 + 14 * 3),) * 2 and len(done) == done[-1][1]


@pytest.mark.parametrize(
    ("fields", "options", "message"),
    [
        (["temperature"], {"feed": "median"}, "unknown feed 'median'"),
        (["temperature"], {"hours": 0}, "hours to forecast must be more than 0, not 0"),
        (["temperature"], {"tokens": 3}, "tokens must be 1 to 2"),
        (
            ["temperature", "2m_temperature"],
            {},
            "'temperature' has 2 times and one of '2m_t.* 3",
        ),
        (
            ["temperature", "specific_humidity"],
            {"hours": 48},
            "'specific_humidity' is input only and must be known until 2020-02-03T06:00",
        ),
    ],
)
def test_mistakes(store, fields, options, message):
    with pytest.raises(UserError, match=message):
        rollout(Drifts(fields), store, [TIME], **{"hours": 6, **options})
