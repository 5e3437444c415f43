import dataclasses

import numpy as np
import pytest

from atmorep_k.components.normalizers import MonthlyNormalizer, monthly_normalizer
from atmorep_k.data.stores.statistics import StoredStatistics
from atmorep_k.errors import UserError

LATITUDE, LONGITUDE = np.linspace(45, -45, 7), np.arange(0, 360, 30.0)
LEVELS = 4
SCOPES = ("global", "grid_point")
TIMES = np.datetime64("2020-01-31T22", "h") + np.arange(5)
MONTHS = np.array([1, 1, 2, 2, 2])
ROWS, COLUMNS = np.arange(2, 5), np.array([10, 11, 0, 1])


def _statistics(seed=0):
    rng = np.random.default_rng(seed)
    grid = (12, LEVELS, len(LATITUDE), len(LONGITUDE))
    return {
        "mean": rng.normal(280, 10, grid[:2]).astype(np.float32),
        "std": rng.uniform(1, 5, grid[:2]).astype(np.float32),
        "mean_grid": rng.normal(280, 10, grid).astype(np.float32),
        "std_grid": rng.uniform(1, 5, grid).astype(np.float32),
    }


def _fitted(scope, levels=(0, 2), statistics=None):
    normalizer = MonthlyNormalizer()
    normalizer.fit(_stored(statistics or _statistics(), levels), scope, LATITUDE, LONGITUDE)
    return normalizer


def _stored(statistics, levels, first_year=None, slots=None):
    def load(scope, first, stop):
        end = "" if scope == "global" else "_grid"
        return tuple(statistics[f"{k}{end}"][first:stop][:, list(levels)] for k in ("mean", "std"))

    slots = np.arange(len(statistics["mean"])) if slots is None else np.array(slots)
    return StoredStatistics("'t' of a.zarr", levels, slots, first_year, SCOPES, load)


def _cube():
    shape = (2, len(MONTHS), len(ROWS), len(COLUMNS))
    return np.random.default_rng(1).normal(280, 12, shape).astype(np.float32)


@pytest.mark.parametrize("scope", SCOPES)
def test_each_value_has_the_statistics_of_its_month_level_and_place(scope):
    statistics, cube = _statistics(), _cube()
    ours = _fitted(scope).normalize(cube, TIMES, ROWS, COLUMNS)
    expected = np.empty_like(cube, dtype=np.float64)
    for (level, time, y, x), value in np.ndenumerate(cube):
        where = (MONTHS[time] - 1, [0, 2][level])
        suffix = ""
        if scope == "grid_point":
            where, suffix = (*where, ROWS[y], COLUMNS[x]), "_grid"
        mean, std = (float(statistics[f"{key}{suffix}"][where]) for key in ("mean", "std"))
        expected[level, time, y, x] = (value - mean) / std
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("times", [TIMES, TIMES + 4000, TIMES - 31 * 24])
def test_denormalize_is_the_inverse(scope, times):
    normalizer, cube = _fitted(scope), _cube()
    normalised = normalizer.normalize(cube, times, ROWS, COLUMNS)
    assert normalised.dtype == np.float32
    back = normalizer.denormalize(normalised, times, ROWS, COLUMNS)
    np.testing.assert_allclose(back, cube, rtol=2e-6)
    members = np.stack([normalised, normalised + 1])
    back = normalizer.denormalize(members, times, ROWS, COLUMNS)
    assert back.dtype == np.float32
    np.testing.assert_allclose(back[0], cube, rtol=2e-6)
    std = np.broadcast_to(normalizer.scale(times, ROWS, COLUMNS)[1], cube.shape)
    np.testing.assert_allclose(back[1] - back[0], std, rtol=1e-3)


def test_both_months_of_a_window_are_used():
    mean, _ = _fitted("global").scale(TIMES, ROWS, COLUMNS)
    statistics = _statistics()["mean"]
    np.testing.assert_array_equal(mean[:, 1, 0, 0], statistics[0, [0, 2]])
    np.testing.assert_array_equal(mean[:, 2, 0, 0], statistics[1, [0, 2]])


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("times", [TIMES, TIMES + 4000])
def test_scale_broadcasts_to_a_window(scope, times):
    for part in _fitted(scope).scale(times, ROWS, COLUMNS):
        assert np.broadcast_shapes(part.shape, _cube().shape) == _cube().shape
        assert part.dtype == np.float32


def test_normalize_in_place():
    normalizer, cube = _fitted("grid_point"), _cube()
    expected = normalizer.normalize(cube, TIMES, ROWS, COLUMNS)
    assert normalizer.normalize(cube, TIMES, ROWS, COLUMNS, out=cube) is cube
    np.testing.assert_array_equal(cube, expected)


@pytest.mark.parametrize("scope", SCOPES)
def test_state_carries_everything(scope, tmp_path):
    normalizer, again = _fitted(scope), MonthlyNormalizer()
    assert again.state() == {}
    assert not again.is_fitted
    np.savez(tmp_path / "state.npz", **normalizer.state())
    with np.load(tmp_path / "state.npz") as state:
        again.load_state(dict(state))
    assert again.is_fitted
    assert again.scope == scope
    cube = _cube()
    np.testing.assert_array_equal(
        again.normalize(cube, TIMES, ROWS, COLUMNS),
        normalizer.normalize(cube, TIMES, ROWS, COLUMNS),
    )


def test_wrong_use_is_refused():
    with pytest.raises(ValueError, match="no statistics"):
        MonthlyNormalizer().normalize(_cube(), TIMES, ROWS, COLUMNS)
    statistics = _statistics()
    statistics["std"][3, 2] = 0
    statistics["mean"][3, 2] = 281.5
    with pytest.raises(UserError, match=r"constant at level 2 in month 4 .always 281\.5"):
        _fitted("global", statistics=statistics)


YEARS = 3


def _of_years(scope, change=lambda statistics: None, slots=None, times=None, first_year=2019):
    """A normaliser by the months of three years, whose means are the numbers of their slots."""
    grid = (12 * YEARS, LEVELS, len(LATITUDE), len(LONGITUDE))
    number = np.arange(12 * YEARS, dtype=np.float32)
    statistics = {
        "mean": np.tile(number[:, None], (1, LEVELS)),
        "std": np.ones(grid[:2], np.float32),
        "mean_grid": np.broadcast_to(number[:, None, None, None], grid).copy(),
        "std_grid": np.ones(grid, np.float32),
    }
    change(statistics)
    stored, read = _stored(statistics, (0, 2), first_year, slots), []

    def load(scope, first, stop):
        if stop > first:
            read.append((first, stop))
        return stored.load(scope, first, stop)

    normalizer = MonthlyNormalizer()
    watched = dataclasses.replace(stored, load=load)
    normalizer.fit(watched, scope, LATITUDE, LONGITUDE, times)
    return normalizer, read


def _month(normalizer, *months):
    times = np.array(months, "datetime64[M]").astype("datetime64[h]")
    mean, _ = normalizer.scale(times, ROWS, COLUMNS)
    return np.broadcast_to(mean, (2, len(times), len(ROWS), len(COLUMNS)))[1, :, 2, 3].tolist()


def _spoil(kind, *slots):
    def change(statistics):
        for key in ("mean", "std", "mean_grid", "std_grid"):
            statistics[key][list(slots)] = kind

    return change


@pytest.mark.parametrize("scope", SCOPES)
def test_each_month_of_each_year_has_its_own_statistics(scope):
    normalizer, _ = _of_years(scope)
    assert _month(normalizer, "2019-01", "2019-12", "2020-01", "2021-07") == [0, 11, 12, 30]
    assert _month(normalizer, "2019-12", "2020-01", "2019-12") == [11, 12, 11]


@pytest.mark.parametrize("scope", SCOPES)
def test_a_year_outside_the_record_has_the_month_of_the_nearest_year(scope):
    normalizer, _ = _of_years(scope)
    assert _month(normalizer, "1960-03", "2018-12", "2022-01", "2100-12") == [2, 11, 24, 35]


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("kind", [0, np.nan, np.inf])
def test_a_month_that_cannot_be_used_has_that_of_the_nearest_year(scope, kind):
    normalizer, read = _of_years(scope, _spoil(kind, 12, 15, 27, 26))
    # Of two years at the same distance it is the earlier; April is left of 2019 alone.
    assert _month(normalizer, "2020-01", "2020-04", "2021-04", "2021-03") == [0, 3, 3, 14]
    before = len(read)
    assert _month(normalizer, "2020-01") == [0]
    assert len(read) == before, "a month that cannot be used is not read again and again"


@pytest.mark.parametrize("scope", SCOPES)
def test_months_without_data_are_not_used_whatever_they_hold(scope):
    normalizer, _ = _of_years(scope, slots=[5, 6, 18])
    assert _month(normalizer, "2021-06", "2019-06", "2019-07", "2021-07") == [5, 5, 6, 18]
    with pytest.raises(
        UserError, match=r"'t' of a.zarr .* usable values for 2020-08, nor for that month"
    ):
        _month(normalizer, "2020-08")


@pytest.mark.parametrize("scope", SCOPES)
def test_times_without_statistics_are_found_when_it_is_fitted(scope):
    times = np.array(["2019-06-01", "2020-08-01"], "datetime64[h]")
    with pytest.raises(UserError, match="usable values for 2020-08"):
        _of_years(scope, _spoil(0, 7, 19, 31), times=times)


def test_what_fails_leaves_a_normaliser_as_it_was():
    normalizer, statistics = MonthlyNormalizer(), _statistics()
    statistics["std"][3, 2] = 0
    with pytest.raises(UserError, match="constant"):
        normalizer.fit(_stored(statistics, (0, 2)), "global", LATITUDE, LONGITUDE)
    assert not normalizer.is_fitted and normalizer.state() == {}


def test_of_grid_points_only_the_months_needed_are_read_and_saved():
    times = np.arange(np.datetime64("2020-02-27T00"), np.datetime64("2020-03-02T00"))
    normalizer, read = _of_years("grid_point", times=times)
    assert read == [(13, 14), (14, 15)]
    state = normalizer.state()
    assert state["slots"].tolist() == [13, 14]
    assert state["mean"].shape == (2, 2, len(LATITUDE), len(LONGITUDE))
    assert int(state["first_year"]) == 2019
    assert _month(normalizer, "2021-05") == [28]
    assert normalizer.slots.tolist() == [13, 14, 28]


@pytest.mark.parametrize("scope", SCOPES)
def test_a_saved_state_serves_the_same_months(scope, tmp_path):
    months = ("2019-02", "2020-02", "2021-09", "2030-02")
    normalizer, _ = _of_years(scope, _spoil(np.nan, 13))
    expected = _month(normalizer, *months)
    np.savez(tmp_path / "state.npz", **normalizer.state())
    again = MonthlyNormalizer()
    with np.load(tmp_path / "state.npz") as state:
        again.load_state(dict(state))
    assert _month(again, *months) == expected
    if scope == "grid_point":
        assert _month(again, "2019-09") == [32]  # the only September that was ever read


def test_a_state_without_slots_begins_in_january_of_its_first_year():
    mean, std = np.arange(24.0)[:, None] * [1, 1], np.ones((24, 2))
    std[18] = 0
    state = {"mean": mean, "std": std, "first_year": 1979, "latitude": [], "longitude": []}
    normalizer = MonthlyNormalizer()
    normalizer.load_state(state)
    assert _month(normalizer, "1979-12", "1980-01", "1980-07") == [11, 12, 6]


def test_many_statistics_of_grid_points_are_told(caplog, monkeypatch):
    monkeypatch.setattr(monthly_normalizer, "_MANY_BYTES", 2000)
    times = np.arange(np.datetime64("2020-02"), np.datetime64("2020-06"))
    _of_years("grid_point", times=times[:1])
    assert not caplog.messages
    _of_years("grid_point", times=times)
    assert "for 4 months take 0.0 GB" in caplog.text
