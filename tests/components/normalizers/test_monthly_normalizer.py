import numpy as np
import pytest

from atmorep_k.components.normalizers import MonthlyNormalizer

LATITUDE, LONGITUDE = np.linspace(45, -45, 7), np.arange(0, 360, 30.0)
LEVELS = 4
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
    normalizer.fit(statistics or _statistics(), levels, scope, LATITUDE, LONGITUDE)
    return normalizer


def _cube():
    shape = (2, len(MONTHS), len(ROWS), len(COLUMNS))
    return np.random.default_rng(1).normal(280, 12, shape).astype(np.float32)


@pytest.mark.parametrize("scope", ["global", "grid_point"])
def test_each_value_has_the_statistics_of_its_month_level_and_place(scope):
    statistics, cube = _statistics(), _cube()
    ours = _fitted(scope).normalize(cube, MONTHS, ROWS, COLUMNS)
    expected = np.empty_like(cube, dtype=np.float64)
    for (level, time, y, x), value in np.ndenumerate(cube):
        where = (MONTHS[time] - 1, [0, 2][level])
        suffix = ""
        if scope == "grid_point":
            where, suffix = (*where, ROWS[y], COLUMNS[x]), "_grid"
        mean, std = (float(statistics[f"{key}{suffix}"][where]) for key in ("mean", "std"))
        expected[level, time, y, x] = (value - mean) / std
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("scope", ["global", "grid_point"])
@pytest.mark.parametrize("months", [MONTHS, MONTHS * 0 + 7, MONTHS + 10])
def test_denormalize_is_the_inverse(scope, months):
    normalizer, cube = _fitted(scope), _cube()
    normalised = normalizer.normalize(cube, months, ROWS, COLUMNS)
    assert normalised.dtype == np.float32
    back = normalizer.denormalize(normalised, months, ROWS, COLUMNS)
    np.testing.assert_allclose(back, cube, rtol=2e-6)
    members = np.stack([normalised, normalised + 1])
    back = normalizer.denormalize(members, months, ROWS, COLUMNS)
    assert back.dtype == np.float32
    np.testing.assert_allclose(back[0], cube, rtol=2e-6)
    std = np.broadcast_to(normalizer.scale(months, ROWS, COLUMNS)[1], cube.shape)
    np.testing.assert_allclose(back[1] - back[0], std, rtol=1e-3)


def test_both_months_of_a_window_are_used():
    mean, _ = _fitted("global").scale(MONTHS, ROWS, COLUMNS)
    statistics = _statistics()["mean"]
    np.testing.assert_array_equal(mean[:, 1, 0, 0], statistics[0, [0, 2]])
    np.testing.assert_array_equal(mean[:, 2, 0, 0], statistics[1, [0, 2]])


@pytest.mark.parametrize("scope", ["global", "grid_point"])
@pytest.mark.parametrize("months", [MONTHS, MONTHS * 0 + 3])
def test_scale_broadcasts_to_a_window(scope, months):
    for part in _fitted(scope).scale(months, ROWS, COLUMNS):
        assert np.broadcast_shapes(part.shape, _cube().shape) == _cube().shape
        assert part.dtype == np.float32


def test_normalize_in_place():
    normalizer, cube = _fitted("grid_point"), _cube()
    expected = normalizer.normalize(cube, MONTHS, ROWS, COLUMNS)
    assert normalizer.normalize(cube, MONTHS, ROWS, COLUMNS, out=cube) is cube
    np.testing.assert_array_equal(cube, expected)


@pytest.mark.parametrize("scope", ["global", "grid_point"])
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
        again.normalize(cube, MONTHS, ROWS, COLUMNS),
        normalizer.normalize(cube, MONTHS, ROWS, COLUMNS),
    )


def test_a_constant_grid_point_is_scaled_by_its_level():
    statistics = _statistics()
    statistics["std_grid"][:, :, 3, 4] = 1e-9
    normalizer = _fitted("grid_point", statistics=statistics)
    np.testing.assert_array_equal(normalizer.std[:, :, 3, 4], statistics["std"][:, [0, 2]])
    assert normalizer.std.min() >= 1


def test_wrong_use_is_refused():
    with pytest.raises(ValueError, match="no statistics"):
        MonthlyNormalizer().normalize(_cube(), MONTHS, ROWS, COLUMNS)
    with pytest.raises(ValueError, match="numbered 1 to 12, not 0 to 1"):
        _fitted("global").normalize(_cube(), MONTHS - 1, ROWS, COLUMNS)
