"""Monthly statistics: closed forms, and the same result however the record is cut."""

import numpy as np
import pytest

from atmorep_k.data.stores.statistics import MONTHS, Moments, area_weights, months_of
from atmorep_k.data.writing.monthly_statistics import MomentsFile, MonthlyStatistics

LATITUDE = np.array([60.0, 50.0, 40.0])


def _collect(values, time, tmp_path, pieces=1):
    tmp_path.mkdir(exist_ok=True)
    statistics = MonthlyStatistics(values.shape[1:], LATITUDE, tmp_path, "x")
    parts = zip(
        np.array_split(values, pieces), np.array_split(months_of(time), pieces), strict=True
    )
    for number, (part, months) in enumerate(parts):
        statistics.add(number, part, months)
    return statistics, [_month(statistics, month) for month in range(MONTHS)]


def _month(statistics, month):
    """The results of all levels: key -> (level, ...)."""
    levels = [statistics.result(month, level) for level in range(statistics.shape[0])]
    return {key: np.stack([of[key] for of in levels]) for key in levels[0]}


@pytest.fixture
def record():
    time = np.arange("2019-12-20", "2021-02-10", dtype="datetime64[D]")
    values = np.random.default_rng(0).normal(250.0, 9.0, (len(time), 2, 3, 4)).astype(np.float32)
    return time, values


def test_months_of():
    times = np.array(["2019-12-31T23", "2020-01-01T00", "1969-03-05"], "datetime64[ns]")
    assert months_of(times).tolist() == [11, 0, 2]


@pytest.mark.parametrize("pieces", [1, 7, 419])
def test_each_month_over_all_years(record, tmp_path, pieces):
    time, values = record
    statistics, results = _collect(values, time, tmp_path, pieces)
    weights = area_weights(LATITUDE)[:, None] / 4
    for month in range(12):
        of = values[months_of(time) == month].astype(np.float64)
        assert statistics.counts[month] == len(of)
        got = results[month]
        np.testing.assert_allclose(got["mean_grid"], of.mean(0), rtol=1e-6)
        np.testing.assert_allclose(got["std_grid"], of.std(0), rtol=1e-6)
        mean = (of.mean(0) * weights).sum((-1, -2))
        spread = ((of - mean[:, None, None]) ** 2).mean(0)
        np.testing.assert_allclose(got["mean"], mean, rtol=1e-6)
        np.testing.assert_allclose(got["std"], np.sqrt((spread * weights).sum((-1, -2))), rtol=1e-6)


def test_stable_where_the_mean_is_large(tmp_path):
    # The naive E[x^2] - E[x]^2 has no digits left here.
    time = np.arange("2020-01-01", "2020-01-31", dtype="datetime64[h]")
    wave = np.where(np.arange(len(time)) % 2, 1.0, -1.0)
    values = np.broadcast_to((1e6 + wave)[:, None, None, None], (len(time), 1, 3, 4))
    _, results = _collect(values.astype(np.float32), time, tmp_path, 10)
    np.testing.assert_allclose(results[0]["std_grid"], 1.0, rtol=1e-6)
    np.testing.assert_allclose(results[0]["std"], 1.0, rtol=1e-6)


def test_month_without_data_has_the_record(tmp_path):
    time = np.arange("2020-01-20", "2020-02-11", dtype="datetime64[D]")
    values = np.random.default_rng(1).normal(size=(len(time), 2, 3, 4)).astype(np.float32)
    _, results = _collect(values, time, tmp_path, 3)
    np.testing.assert_allclose(results[6]["mean_grid"], values.mean(0), atol=1e-6)
    np.testing.assert_allclose(results[6]["std_grid"], values.std(0), atol=1e-6)
    assert not np.allclose(results[0]["mean_grid"], results[6]["mean_grid"], atol=1e-3)


def test_constant_point_has_no_std(tmp_path):
    time = np.arange("2020-01-01", "2020-01-11", dtype="datetime64[D]")
    values = np.random.default_rng(2).normal(size=(len(time), 2, 3, 4)).astype(np.float32)
    values[:, 0, 1, 2] = 0.1
    _, results = _collect(values, time, tmp_path)
    (constant,) = np.argwhere(results[0]["std_grid"] == 0)
    assert constant.tolist() == [0, 1, 2]


def test_constant_level_has_no_std(tmp_path):
    time = np.arange("2020-01-01", "2020-01-08", dtype="datetime64[D]")
    values = np.full((len(time), 1, 3, 4), 0.1, np.float32)
    _, results = _collect(values, time, tmp_path, 3)
    assert np.all(results[0]["std"] == 0)
    np.testing.assert_allclose(results[0]["mean"], 0.1, rtol=1e-6)


def test_a_part_counts_once_however_often_it_comes(record, tmp_path):
    time, values = record
    months = months_of(time)
    statistics = MonthlyStatistics(values.shape[1:], LATITUDE, tmp_path, "x")
    statistics.add(0, values[:100], months[:100])
    for _ in range(2):  # as when work was stopped before it was noted down
        statistics.add(1, values[100:], months[100:])
    once, _ = _collect(values, time, tmp_path / "once", 1)
    np.testing.assert_array_equal(statistics.counts, once.counts)
    np.testing.assert_allclose(
        _month(statistics, 0)["std_grid"], _month(once, 0)["std_grid"], rtol=1e-6
    )


def test_moments_put_place_by_place_are_those_of_the_whole(tmp_path):
    values = np.random.default_rng(4).normal(size=(9, 2, 3, 4)).astype(np.float32)
    whole = Moments.zero((2, 3, 4))
    whole.add(values)
    file = MomentsFile(tmp_path / "moments", (2, 3, 4))
    file.create(9)
    for rows in (slice(0, 2), slice(2, 3)):
        for columns in (slice(0, 3), slice(3, 4)):
            part = Moments.zero(values[0, :, rows, columns].shape)
            part.add(values[:, :, rows, columns])
            file.put(rows, columns, part)
    assert file.header() == (9, 0)
    for level in range(2):
        np.testing.assert_allclose(file.level(level).mean[0], whole.mean[level], rtol=1e-12)
        np.testing.assert_allclose(file.level(level).squares[0], whole.squares[level], rtol=1e-12)


def test_area_of_hemispheres_and_of_the_whole():
    latitude = np.linspace(90, -90, 181)
    weights = area_weights(latitude)
    assert weights.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(weights, weights[::-1])
    # Between 30 S and 30 N lies half of the globe: sin(30) = 1/2.
    inside = np.abs(latitude) < 29.9
    edges = weights[np.abs(np.abs(latitude) - 30) < 0.1]
    assert weights[inside].sum() + edges.sum() / 2 == pytest.approx(0.5, abs=1e-4)
    assert area_weights(np.array([90.0])).tolist() == [1.0]


def test_merge_of_parts_is_the_whole():
    values = np.random.default_rng(3).normal(5, 2, (20, 1, 3, 4)).astype(np.float32)
    whole, one, other = (Moments.zero((1, 3, 4)) for _ in range(3))
    whole.add(values)
    one.add(values[:13])
    other.add(values[13:])
    one.merge(other)
    assert one.count == whole.count == 20
    np.testing.assert_allclose(one.squares, whole.squares, rtol=1e-10)
