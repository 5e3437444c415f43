"""Windows of stores of the original's layout, written here."""

import numpy as np
import pytest
import zarr
from whole_records import windows_of

from atmorep_k.components.datasets import Position, WindowDataset
from atmorep_k.components.maskings import Forecast
from atmorep_k.errors import UserError
from atmorep_k.fields import FieldSpec, Window

HOURS = np.datetime64("2019-12-30T12", "s") + np.arange(60) * np.timedelta64(1, "h")
WINDOW = Window((12, 6, 12))
PLACES = {
    "u_component_of_wind": ("data", 0),
    "mine": ("data", 1),
    "2m_temperature": ("data_sfc", 0),
}


@pytest.fixture
def make(write_original_store, tmp_path):
    def write(**options):
        path = tmp_path / "made.zarr"
        return str(path), write_original_store(path, **{"hours": HOURS, **options})

    return write


def _fields(normalization="global", levels=(137, 96), window=WINDOW):
    return [
        FieldSpec("velocity_u", levels, (3, 3, 3), window, normalization=normalization),
        FieldSpec("mine", [114], (3, 3, 3), window, normalization=normalization),
        FieldSpec("t2m", [0], (6, 3, 2), window, normalization=normalization),
    ]


def _opened(path, **options):
    return windows_of(path, _fields(**options))


def _cut(values, position, levels, window=WINDOW):
    """The window of (time, level, lat, lon), by numpy alone, as (level, time, lat, lon)."""
    times, rows, columns = window.shape
    part = np.roll(values, -position.column, axis=-1)[position.time :, levels][:times]
    return part[:, :, position.row :][:, :, :rows, :columns].swapaxes(0, 1)


def _expected(arrays, name, position, levels):
    array, field = PLACES[name]
    values = arrays[array][:, field]
    return _cut(values[:, None] if values.ndim == 3 else values, position, levels)


@pytest.mark.parametrize(("zarr_format", "dtype"), [(2, "float32"), (3, "float32"), (2, "float64")])
@pytest.mark.parametrize("position", [Position(20, 3, 5), Position(48, 13, 30), Position(0, 0, 35)])
def test_values(make, position, zarr_format, dtype):
    path, arrays = make(zarr_format=zarr_format, dtype=dtype)
    dataset = _opened(path)
    for name, levels in (("u_component_of_wind", [2, 0]), ("mine", [1]), ("2m_temperature", [0])):
        cube = dataset.cube(name, position)
        assert cube.dtype == np.float32
        expected = _expected(arrays, name, position, levels).astype(np.float32)
        np.testing.assert_array_equal(cube, expected)


def _normalised(arrays, name, position, levels, scope):
    """Normalised values (level, time, lat, lon), from the arrays by numpy alone."""
    array, field = PLACES[name]
    end = "_sfc" if array == "data_sfc" else ""
    kind = "global_norm" if scope == "global" else "norm"
    stored = arrays[f"normalization/{kind}{end}"][:, :, field].astype(np.float64)
    stored = stored[:, :, None] if end else stored
    if scope == "global":
        stored = np.broadcast_to(stored[..., None, None], (*stored.shape, 19, 36))
    hours = arrays["time"][position.time : position.time + 12].astype("datetime64[M]")
    slot = (hours - np.datetime64("2019-01", "M")).astype(int)
    mean, std = (_cut(stored[slot, i], Position(0, *_place(position)), levels) for i in (0, 1))
    return (_expected(arrays, name, position, levels) - mean) / std


def _place(position):
    return position.row, position.column


@pytest.mark.parametrize("normalization", ["global", "grid_point"])
@pytest.mark.parametrize("position", [Position(0, 2, 3), Position(30, 2, 30), Position(40, 5, 0)])
def test_each_month_of_each_year_has_its_own_statistics(make, normalization, position):
    path, arrays = make()
    dataset = _opened(path, normalization=normalization)
    sample = dataset.sample(position, Forecast(), np.random.default_rng(0))
    _, rows, columns = dataset.indices(position)
    for name, levels in (("u_component_of_wind", [2, 0]), ("mine", [1]), ("2m_temperature", [0])):
        ours = dataset.normalizers[name].normalize(
            sample.cubes[name], dataset.coordinates(position)[0], rows, columns
        )
        expected = _normalised(arrays, name, position, levels, normalization)
        np.testing.assert_allclose(ours, expected, rtol=2e-4, atol=2e-5)
        seen = sample.inputs[f"{name}/tokens"][:, 0, 0, 0, 0]
        np.testing.assert_allclose(seen, ours[:, 0, 0, 0], rtol=1e-6)
    years = {str(t)[:4] for t in dataset.coordinates(position)[0]}
    assert years == {0: {"2019"}, 30: {"2019", "2020"}, 40: {"2020"}}[position.time]


def test_statistics_of_grid_points_are_read_when_a_window_needs_them(make):
    dataset = _opened(make()[0], normalization="grid_point")
    normalizer = dataset.normalizers["mine"]
    assert normalizer.slots.tolist() == []
    dataset.sample(Position(44, 0, 0), Forecast(), np.random.default_rng(0))
    assert normalizer.slots.tolist() == [12]
    dataset.sample(Position(0, 0, 0), Forecast(), np.random.default_rng(0))
    assert normalizer.slots.tolist() == [11, 12]


def test_periods_read_their_months_and_no_others(make):
    # From December to February in the store; training and validation are in two of its months.
    hours = np.datetime64("2019-12-30T00", "h") + np.arange(24 * 40)
    path, _ = make(hours=hours, spacing=(30.0, 30.0))
    dataset = WindowDataset(path, ("2019-12-30", "2019-12-31"), ("2020-02-02", "2020-02-05"))
    window = Window((12, 3, 6))
    dataset.open(_fields("grid_point", window=window)[:1])
    assert dataset.normalizers["u_component_of_wind"].slots.tolist() == [11, 13]
    inputs, targets, _ = next(dataset.batches("validation", 3, Forecast(), 0))
    assert inputs["u_component_of_wind/tokens"].shape == (3, 2, 4, 1, 2, 27)
    assert np.isfinite(targets["u_component_of_wind"]).all()


@pytest.mark.parametrize("normalization", ["global", "grid_point"])
def test_a_month_without_statistics(make, normalization):
    hours = np.datetime64("2019-01-31T00", "h") + np.r_[0:24, 365 * 24 : 366 * 24]
    path, _ = make(hours=hours)
    group = zarr.open_group(path)["normalization"]
    for name in ("norm", "global_norm", "norm_sfc", "global_norm_sfc"):
        group[name][12] = 0
    dataset = WindowDataset(path, ("2019", "2019"), ("2020", "2020"))
    dataset.open(_fields(normalization))
    # January 2020 has none: that of 2019 serves.
    normalizer = dataset.normalizers["mine"]
    for times in (hours[:3], hours[-3:]):
        mean, _ = normalizer.scale(times, np.arange(2), np.arange(3))
        assert mean.ravel()[0] == normalizer.mean[0].ravel()[0]
    for name in ("norm", "global_norm", "norm_sfc", "global_norm_sfc"):
        group[name][0] = np.nan
    with pytest.raises(UserError, match=r"'u_component_of_wind' of .*made\.zarr .* for 2019-01"):
        WindowDataset(path, ("2019", "2019"), ("2020", "2020")).open(_fields(normalization))


@pytest.mark.parametrize("opened", [lambda p, f: WindowDataset(p).open(f), windows_of])
@pytest.mark.parametrize(
    ("normalization", "name"), [("global", "global_norm"), ("grid_point", "norm")]
)
def test_statistics_that_are_not_there_are_missed_when_it_is_opened(
    make, opened, normalization, name
):
    path, _ = make(without=(f"normalization/{name}",))
    with pytest.raises(UserError, match=f"normalization/{name} is missing"):
        opened(path, _fields(normalization))
    # At the surface they are there, and so are the others.
    opened(path, _fields(normalization)[2:])
    other = "grid_point" if normalization == "global" else "global"
    opened(path, _fields(other))


def test_a_regional_store_across_0_degrees(make):
    lons = np.r_[350:360:2.0, 0:20:2.0]
    lats = np.arange(30.0, 50.1, 2.0)
    path, arrays = make(lons=lons, lats=lats, spacing=(2.0, 2.0), attributes={"is_global": 0})
    dataset = WindowDataset(path)
    dataset.open(_fields())
    position = Position(7, 1, 2)
    expected = _expected(arrays, "mine", position, [1])
    np.testing.assert_array_equal(dataset.windows.cube("mine", position), expected)
    _, latitude, longitude = dataset.windows.coordinates(position)
    assert latitude.tolist() == [58, 56, 54, 52, 50, 48]
    assert longitude.tolist() == list(range(-6, 18, 2))
    info = dataset.windows.token_info("mine", position)
    assert info[0, 0, 0, :, 5].tolist() == [356, 2, 8, 14]
    assert info[0, 0, :, 0, 4].tolist() == [34, 40]
    for index in range(50):
        drawn = dataset.position("train", 0, 0, index)
        assert drawn.column + 12 <= len(lons)


@pytest.mark.parametrize("res", [[10.5, 11.0], 10.5])
def test_token_info_has_the_resolution_that_the_store_says(make, res):
    path, _ = make(attributes={"res": res})
    info = _opened(path).token_info("mine", Position(3, 1, 34))
    assert np.all(info[..., 7] == 10.5) and np.all(info[..., 3] == 114)
    assert info[0, 0, 0, :, 5].tolist() == [350, 20, 50, 80]
    assert (info[0, :, 0, 0, 2] == [17, 20, 23, 2]).all()


def test_a_damaged_array_is_said(make, tmp_path):
    path, _ = make()
    dataset = _opened(path)
    for chunk in (tmp_path / "made.zarr" / "data").glob("[0-9]*"):
        chunk.write_bytes(b"")
    with pytest.raises(UserError, match="cannot read 'u_component_of_wind' of"):
        dataset.cube("u_component_of_wind", Position(0, 0, 0))
