import dataclasses

import numpy as np
import pytest
import xarray as xr

from atmorep_k.earth.variables import VariableInfo
from atmorep_k.evaluation import baselines


def column(values):
    """A series as a cube (level, time, lat, lon) of one point."""
    return np.array(values, dtype=np.float32)[None, :, None, None]


def hidden_column(text):
    return np.array([c == "x" for c in text])[None, :, None, None]


CLIMATOLOGY = column([100, 101, 102, 103, 104, 105])
# "." visible, "x" hidden; series 0 1 4 9 16 25
CASES = {
    ".xx.xx": ([0, 0, 0, 9, 9, 9], [0, 3, 6, 9, 9, 9]),
    "xx.xx.": ([4, 4, 4, 4, 4, 25], [4, 4, 4, 11, 18, 25]),
    "......": ([0, 1, 4, 9, 16, 25], [0, 1, 4, 9, 16, 25]),
    "xxxxxx": ([100, 101, 102, 103, 104, 105], [100, 101, 102, 103, 104, 105]),
    "xxxxx.": ([25] * 6, [25] * 6),
}


@pytest.mark.parametrize("mask", CASES)
def test_hand_made_cases(mask):
    hidden = hidden_column(mask)
    cube = np.where(hidden, np.nan, column([0, 1, 4, 9, 16, 25]))
    kept, interpolated = CASES[mask]
    np.testing.assert_array_equal(baselines.persistence(cube, hidden, CLIMATOLOGY), column(kept))
    found = baselines.linear_interpolation(cube, hidden, CLIMATOLOGY)
    np.testing.assert_allclose(found, column(interpolated), rtol=1e-6)


def random_mask(shape, seed=0):
    hidden = np.random.default_rng(seed).random(shape) < 0.6
    hidden[:, 0] = hidden[:, -1] = False
    return hidden


def test_interpolation_reproduces_what_is_linear_in_time():
    rng = np.random.default_rng(1)
    start, slope = rng.normal(size=(2, 3, 1, 4, 5))
    cube = start + slope * np.arange(9)[:, None, None]
    hidden = random_mask(cube.shape)
    found = baselines.linear_interpolation(np.where(hidden, np.nan, cube), hidden, cube * np.nan)
    np.testing.assert_allclose(found, cube, rtol=1e-5, atol=1e-5)


def test_persistence_is_exact_where_nothing_changes_and_first_order_where_it_does():
    cube = np.broadcast_to(np.arange(9.0)[:, None, None], (3, 9, 4, 5))
    hidden = random_mask(cube.shape)
    found = baselines.persistence(np.where(hidden, np.nan, cube), hidden, cube * np.nan)
    # Each hidden point shows a time before it that is visible, and none later that is visible.
    lag = cube - found
    assert (lag[hidden] >= 1).all() and (lag[~hidden] == 0).all()
    constant = np.full_like(cube, 7)
    np.testing.assert_array_equal(baselines.persistence(constant, hidden, cube), constant)


def test_without_bend_interpolation_equals_persistence_in_a_forecast():
    cube = np.random.default_rng(2).normal(size=(2, 6, 3, 4)).astype(np.float32)
    hidden = np.zeros(cube.shape, bool)
    hidden[:, 4:] = True
    arguments = cube, hidden, cube * 0
    np.testing.assert_array_equal(
        baselines.persistence(*arguments), baselines.linear_interpolation(*arguments)
    )


@dataclasses.dataclass
class Store:
    time: np.ndarray
    level: np.ndarray
    latitude: np.ndarray
    longitude: np.ndarray
    variables: dict
    data: xr.Dataset

    def dataset(self):
        return self.data


def store_of(start, hours, value, step=1):
    """A store whose values are a function of (month, hour) plus 10 x level + row + column / 8."""
    time = np.datetime64(start, "ns") + np.arange(0, hours, step) * np.timedelta64(1, "h")
    level, latitude, longitude = np.array([1.0, 2.0, 3.0]), np.arange(2.0), np.arange(4.0)
    month, hour = baselines.month_and_hour(time)
    place = 10 * level[:, None, None] + latitude[:, None] + longitude / 8
    values = value(month, hour, np.arange(len(time)))[:, None, None, None] + place
    dims = ("time", "level", "latitude", "longitude")
    arrays = {
        "temperature": (dims, values.astype(np.float32)),
        "surface": (("time", *dims[2:]), values[:, 0].astype(np.float32)),
    }
    variables = {
        "temperature": VariableInfo("K", "", "", True),
        "surface": VariableInfo("K", "", "", False),
    }
    return Store(time, level, latitude, longitude, variables, xr.Dataset(arrays))


def test_climatology_is_the_mean_of_month_and_hour():
    noise = np.random.default_rng(3).normal(size=24 * 70)
    store = store_of("2001-01-20", 24 * 70, lambda month, hour, i: noise[i])
    indices = np.arange(5, 24 * 60)  # the rest is held out
    found = baselines.Climatology.from_store(store, "temperature", [3, 1], indices, [2, 3])
    times = np.array(["2019-02-03T05", "2019-03-01T23", "2019-02-28T05"], "datetime64[ns]")
    window = found.window(times, np.array([1]), np.array([3, 0]))
    assert window.shape == (2, 3, 1, 2)
    month, hour = baselines.month_and_hour(store.time[indices])
    for step, (m, h) in enumerate([(2, 5), (3, 23), (2, 5)]):
        mean = noise[indices][(month == m) & (hour == h)].mean()
        expected = mean + np.array([30, 10])[:, None, None] + 1 + np.array([3 / 8, 0])
        np.testing.assert_allclose(window[:, step], expected, rtol=1e-6)


def test_hours_and_months_that_never_occur_fall_back():
    store = store_of("2001-01-01", 24 * 59, lambda month, hour, i: month * 100.0 + hour, step=6)
    found = baselines.Climatology.from_store(
        store, "surface", [0], np.arange(len(store.time)), [1, 7]
    )
    times = np.array(["2001-01-05T06", "2001-01-05T07", "2001-07-01T18"], "datetime64[ns]")
    window = found.window(times, np.array([0]), np.array([0]))[0, :, 0, 0]
    whole_record = (31 * 100 + 28 * 200) / 59 + 18
    np.testing.assert_allclose(window - 10, [106, 109, whole_record], rtol=1e-5)


def test_a_long_record_is_thinned_by_whole_days(caplog):
    store = store_of("2001-01-01", 24 * 12, lambda month, hour, i: hour * 1.0 + (i // 24) % 3)
    every_third = 4 * 3 * 2 * 4 * 24 * 4
    indices = np.arange(len(store.time))
    found = baselines.Climatology.from_store(
        store, "temperature", [1], indices, [1], max_bytes=every_third
    )
    window = found.window(store.time[:24], np.array([0]), np.array([0]))[0, :, 0, 0]
    np.testing.assert_allclose(window - 10, np.arange(24.0), atol=1e-5)
    assert "one day in 3" in caplog.text
