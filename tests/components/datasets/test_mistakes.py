"""One mistake each: every one ends in one sentence, before any work."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from atmorep_k.components.datasets import WindowDataset
from atmorep_k.components.maskings import Forecast
from atmorep_k.components.normalizers import MonthlyNormalizer
from atmorep_k.errors import UserError
from atmorep_k.fields import FieldSpec, Window

WINDOW = Window((12, 6, 12))


def _field(name="temperature", levels=(500,), window=WINDOW, **options):
    return FieldSpec(name, list(levels), (3, 3, 3), window, **options)


@pytest.mark.parametrize(
    ("field", "options", "message"),
    [
        (_field("temprature"), {}, "did you mean 'temperature'.*2m_temperature"),
        (_field(levels=[500, 840]), {}, "no level 840 .* did you mean 850"),
        (_field("2m_temperature", [500]), {}, "is a surface variable: its levels must be"),
        (_field(window=Window((12, 48, 12))), {}, "48 x 12 points .* grid of 46 x 90"),
        (_field(window=Window((12, 6, 93))), {}, "grid of 46 x 90"),
        (_field(window=Window((60, 6, 12))), {}, "60 h does not fit the validation period of 48 h"),
        (_field(window=Window((12, 6, 12), 1.5)), {}, "store's step of 1 h"),
        (_field(), {"region": (0, 10, 0, 40)}, "holds 3 x 11 points"),
        (
            _field(),
            {
                "train_period": ("2020-01-28", "2020-02-02"),
                "validation_period": ("2020-02-02", "2020-02-05"),
            },
            "overlap from",
        ),
        (
            _field(),
            {
                "train_period": ("2019-01-28", "2019-02-02"),
                "validation_period": ("2020-02-02", "2020-02-05"),
            },
            "2019-01-28 to 2019-02-02 is not inside the record",
        ),
    ],
)
def test_field_and_store_do_not_fit(written, field, options, message):
    with pytest.raises(UserError, match=message):
        WindowDataset(written.path, **options).open([field])


def test_steps_that_are_missing_are_told_of(make_store, caplog):
    store = make_store(hours=np.delete(np.arange(241), 100))
    WindowDataset(store.path).open([_field()])
    (told,) = caplog.messages
    assert f"temperature of {store.path}: 1 step(s) are missing between 2020-02-01T03:00" in told
    assert "no window spans them" in told


def test_two_windows(written):
    other = Window((12, 6, 24))
    with pytest.raises(UserError, match="different windows"):
        WindowDataset(written.path).open([_field(), _field("2m_temperature", [0], other)])


@pytest.mark.parametrize("fields", [[], [_field(), _field()]])
def test_no_field_or_one_twice(written, fields):
    with pytest.raises(UserError, match="different fields"):
        WindowDataset(written.path).open(fields)


def test_no_store(written):
    with pytest.raises(UserError, match=r"did you mean 'global\.zarr'"):
        WindowDataset(written.path.replace("global", "globl")).open([_field()])


@pytest.mark.parametrize("name", ["samples_per_epoch", "threads"])
def test_numbers_are_positive(name):
    with pytest.raises(UserError, match=f"WindowDataset.{name} must be at least 1, not 0"):
        WindowDataset("a", **{name: 0})


def test_constant_level(make_store):
    shape = (240, 3, 46, 90)
    cube = np.random.default_rng(0).random(shape, np.float32)
    cube[:, 1] = 273.15
    made = make_store(values={"temperature": cube, "2m_temperature": cube[:, :1]})
    WindowDataset(made.path).open([_field(levels=[500, 850])])
    with pytest.raises(UserError, match=r"'temperature' of .* is constant at level 700 in month 1"):
        WindowDataset(made.path).open([_field(levels=[500, 700])])


def test_statistics_of_another_model(written):
    normalizer, grid = MonthlyNormalizer(), np.ones((12, 1, 4, 5), np.float32)
    state = {"mean": grid, "std": grid, "latitude": np.arange(4), "longitude": np.arange(5)}
    normalizer.load_state(state)
    with pytest.raises(UserError, match="a different latitude grid"):
        WindowDataset(written.path).open([_field()], {"temperature": normalizer})
    with pytest.raises(UserError, match="has 1 levels, but the field has 2"):
        WindowDataset(written.path).open([_field(levels=[500, 850])], {"temperature": normalizer})


def test_missing_value_names_variable_level_and_time(make_store):
    import zarr

    made = make_store()
    dataset = WindowDataset(made.path)
    # `write_store` refuses missing values, so one is put in behind its back, in all windows.
    zarr.open_group(made.path)["temperature"][200, 2, :, ::6] = np.nan
    dataset.open([_field(levels=[500, 850]), _field("2m_temperature", [0])])
    batches = dataset.batches("validation", 40, Forecast(), 0)
    with pytest.raises(UserError, match=r"'temperature'.*2020-02-05T08:00, level 850"):
        next(batches)
    for index in range(40):
        position = dataset.position("validation", 0, 0, index)
        if position.time <= 200 < position.time + 12:
            break
    with pytest.raises(UserError, match="missing values"):
        dataset.windows.cube("temperature", position)
    assert np.isfinite(dataset.windows.cube("2m_temperature", position)).all()


def test_a_damaged_store(make_store):
    made = make_store()
    dataset = WindowDataset(made.path)
    dataset.open([_field()])
    for shard in (Path(made.path) / "temperature" / "c").rglob("*"):
        if shard.is_file():
            shard.write_bytes(shard.read_bytes()[: shard.stat().st_size // 2])
    with pytest.raises(UserError, match="cannot read 'temperature' of"):
        next(dataset.batches("train", 20, Forecast(), 0))


def test_an_array_that_is_not_there(make_store):
    made = make_store()
    dataset = WindowDataset(made.path)
    shutil.rmtree(Path(made.path) / "temperature")
    with pytest.raises(UserError, match="temperature"):
        dataset.open([_field()])


def test_gaps_are_never_spanned(make_store):
    hours = np.r_[0:100, 105:300]
    shape = (len(hours), 3, 46, 90)
    cube = np.random.default_rng(0).random(shape, np.float32)
    made = make_store(hours=hours, values={"temperature": cube, "2m_temperature": cube[:, :1]})
    dataset = WindowDataset(made.path)
    dataset.open([_field()])
    for index in range(150):
        times, _, _ = dataset.windows.coordinates(dataset.position("train", 0, 0, index))
        assert np.all(np.diff(times) == np.timedelta64(1, "h"))


def test_a_regional_store_across_0_degrees(make_store):
    longitude, latitude = np.arange(-10.0, 12.5, 0.5), np.arange(60, 49.5, -0.5)
    shape = (240, 3, len(latitude), len(longitude))
    cube = np.random.default_rng(0).random(shape, np.float32)
    values = {"temperature": cube, "2m_temperature": cube[:, :1]}
    made = make_store(longitude=longitude, latitude=latitude, values=values)
    dataset = WindowDataset(made.path)
    dataset.open([_field()])
    for index in range(100):
        position = dataset.position("train", 0, 0, index)
        _, _, lons = dataset.windows.coordinates(position)
        assert np.allclose(np.diff(lons), 0.5)
        info = dataset.windows.token_info("temperature", position)
        assert info[..., 5].min() >= 0
        np.testing.assert_allclose(info[0, 0, 0, :, 5], lons[1::3] % 360)
