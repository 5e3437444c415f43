"""Fields of a model that lie in several stores; every value tells where it comes from."""

import itertools
import json

import numpy as np
import pytest
from whole_records import windows_of

from atmorep_k.components.datasets import Position, WindowDataset
from atmorep_k.components.maskings import Forecast, RandomTokens
from atmorep_k.components.normalizers import MonthlyNormalizer
from atmorep_k.errors import UserError
from atmorep_k.fields import FieldSpec, Window
from atmorep_k.windows.serving import Serving

HOUR = np.timedelta64(1, "h")
TEMPERATURE = FieldSpec("temperature", [500, 850], (3, 3, 3), Window((12, 6, 12)))


def _fine(first=90.0):
    return {"latitude": np.arange(first, -90.1, -2), "longitude": np.arange(180) * 2.0}


def _coarse():
    return {"latitude": np.linspace(84, -84, 22), "longitude": np.arange(45) * 8.0 + 4}


# Name -> (what is written, shape of the window, step in hours): always 12 h x 24 x 48 degrees.
OTHERS = {
    "same": ({}, (12, 6, 12), 1),
    "three-hourly": ({"hours": np.arange(0, 240, 3)}, (4, 6, 12), 3),
    "every third hour": ({}, (4, 6, 12), 3),
    "fine": ({"hours": np.arange(96, 240), **_fine()}, (12, 12, 24), 1),
    "coarse": (_coarse(), (12, 3, 6), 1),
    "coarse and slow": ({"hours": np.arange(2, 240, 6), **_coarse()}, (2, 3, 6), 6),
    "regional": (
        {"latitude": np.arange(60, 19.9, -2), "longitude": np.arange(-30.0, 31.0, 2)},
        (12, 12, 24),
        1,
    ),
}


@pytest.fixture(scope="module", params=OTHERS)
def other(request, write_named):
    """Another store, and the field that comes from it."""
    changes, shape, step = OTHERS[request.param]
    made = write_named("other.zarr", **changes)
    tokens = (shape[0] // 2, 3, 6)
    return made, FieldSpec("2m_temperature", [0], tokens, Window(shape, step))


def _opened(written, other, order=1, **options):
    made, field = other
    dataset = WindowDataset(written.path, stores={"t2m": made.path}, **options)
    dataset.open([TEMPERATURE, field][::order])
    return dataset


def _origin(made, values):
    """Returns times, latitudes, longitudes of values, by what they are, (time, lat, lon) each."""
    of = made.description
    shape = (len(of.time), len(of.level), len(of.latitude), len(of.longitude))
    time, _, row, column = np.unravel_index(np.abs(values).astype(np.int64), shape)
    return of.time[time], of.latitude[row], of.longitude[column]


def _axes(time, latitude, longitude):
    """Returns the axes of coordinates (time, lat, lon), longitudes without a jump."""
    axes = (time[:, :1, :1], latitude[:1, :, :1], longitude[:1, :1])
    for values, axis in zip((time, latitude, longitude), axes, strict=True):
        np.testing.assert_array_equal(values, np.broadcast_to(axis, values.shape))
    longitude = np.unwrap(longitude[0, 0], period=360.0)
    assert np.all(np.diff(longitude) > 0)
    return time[:, 0, 0], latitude[0, :, 0], longitude


def test_all_stores_show_the_same_hours_and_degrees(written, other):
    made, field = other
    dataset = _opened(written, other)
    spacing = abs(np.diff(made.description.latitude[:2])[0])
    for split, index in itertools.product(("train", "validation"), range(60)):
        sample = dataset.window(split, 0, index, Forecast())
        (time, latitude, longitude), ours = (
            _axes(*_origin(store, sample.cubes[name][0]))
            for store, name in ((written, "temperature"), (made, "2m_temperature"))
        )
        assert ours[0][-1] == time[-1]
        assert np.all(np.diff(ours[0]) == field.window.step_hours * HOUR)
        assert len(ours[0]) * field.window.step_hours == 12
        half = max(spacing, 4.0) / 2 + 1e-6
        assert abs(ours[1].mean() - latitude.mean()) <= half
        assert abs((ours[2].mean() - longitude.mean() + 180) % 360 - 180) <= half
        assert abs(np.ptp(ours[1]) + spacing - 24) <= half


def test_what_is_told_of_a_window_is_true_of_its_values(written, other):
    made, field = other
    dataset = _opened(written, other)
    for index in range(10):
        position = dataset.position("train", 3, 0, index)
        for store, name in ((written, "temperature"), (made, "2m_temperature")):
            time, latitude, longitude = _origin(store, dataset.windows.cube(name, position)[0])
            told = dataset.windows.coordinates(position, name)
            np.testing.assert_array_equal(time, np.broadcast_to(told[0][:, None, None], time.shape))
            np.testing.assert_array_equal(latitude[0, :, 0], told[1])
            np.testing.assert_array_equal(longitude[0, 0], told[2])
            times, rows, columns = dataset.windows.indices(position, name)
            of = dataset.windows.store_of(name)
            np.testing.assert_array_equal(of.time[times], told[0])
            np.testing.assert_array_equal(of.latitude[rows], told[1])
            np.testing.assert_array_equal(of.longitude[columns], told[2])
        info = dataset.windows.token_info("2m_temperature", position)
        steps, rows, columns = field.token_size
        told = dataset.windows.coordinates(position, "2m_temperature")
        np.testing.assert_allclose(info[0, 0, :, 0, 4], 90 - told[1][rows // 2 :: rows])
        np.testing.assert_allclose(info[0, 0, 0, :, 5], told[2][columns // 2 :: columns] % 360)
        hours = told[0][steps - 1 :: steps].astype("datetime64[h]").astype(int) % 24
        np.testing.assert_array_equal(info[0, :, 0, 0, 2], hours)
        np.testing.assert_allclose(
            info[..., 7], dataset.windows.store_of("2m_temperature").resolution[0]
        )
    assert dataset.windows.indices(position)[0][0] == position.time


def test_training_and_validation_share_no_time_of_any_store(written, other):
    dataset = _opened(written, other, samples_per_epoch=300)
    for name in ("temperature", "2m_temperature"):
        used = {
            split: {
                time
                for i in range(300)
                for time in dataset.windows.indices(dataset.position(split, 0, 0, i), name)[
                    0
                ].tolist()
            }
            for split in ("train", "validation")
        }
        assert not used["train"] & used["validation"]
        for split, times in used.items():
            assert times <= set(dataset.time_indices(split, name).tolist())


def test_samples_are_the_same_whatever_the_order_of_fields(written, other):
    found = []
    for order in (1, -1):
        dataset = _opened(written, other, order)
        (batch,) = dataset.batches("train", 6, RandomTokens(), 2, num_steps=1)
        found.append([(n, a.tobytes()) for part in batch for n, a in sorted(part.items())])
    assert found[0] == found[1]


@pytest.mark.parametrize("own", [False, True])
def test_a_reference_with_a_longer_step_keeps_the_periods_apart(written, write_named, own):
    slow = FieldSpec("2m_temperature", [0], (1, 3, 6), Window((4, 6, 12), 3))
    path = write_named("slow.zarr", hours=np.arange(0, 240, 3)).path if own else written.path
    stores = {"t": written.path} if own else None
    found = []
    for fields in ([slow, TEMPERATURE], [TEMPERATURE, slow]):
        dataset = WindowDataset(path, stores=stores, samples_per_epoch=300)
        dataset.open(fields)
        used = {
            split: {
                time
                for i in range(300)
                for time in dataset.windows.indices(
                    dataset.position(split, 0, 0, i), "temperature"
                )[0]
            }
            for split in ("train", "validation")
        }
        assert not used["train"] & used["validation"]
        assert used["train"] <= set(dataset.time_indices("train", "temperature"))
        (batch,) = dataset.batches("validation", 6, RandomTokens(), 2, num_steps=1)
        found.append([(n, a.tobytes()) for part in batch for n, a in sorted(part.items())])
    assert found[0] == found[1]


def test_a_store_of_the_same_grid_changes_nothing(written):
    fields = [TEMPERATURE, FieldSpec("2m_temperature", [0], (6, 3, 6), TEMPERATURE.window)]
    found = []
    for stores in (None, {"2m_temperature": written.path + "/"}):
        dataset = WindowDataset(written.path, stores=stores)
        dataset.open(fields)
        (batch,) = dataset.batches("train", 6, RandomTokens(), 2, num_steps=1)
        found.append([(n, a.tobytes()) for part in batch for n, a in sorted(part.items())])
    assert found[0] == found[1]


def test_the_first_field_is_the_reference_where_none_is_in_the_store(written, write_named):
    coarse = write_named("coarse.zarr", **_coarse())
    fields = [FieldSpec("2m_temperature", [0], (6, 3, 6), Window((12, 3, 6))), TEMPERATURE]
    stores = {"2m_temperature": coarse.path, "temperature": written.path}
    dataset = WindowDataset("nowhere.zarr", stores=stores)
    dataset.open(fields)
    assert str(dataset.windows.store_of().path) == coarse.path
    dataset.open(fields[::-1])
    assert str(dataset.windows.store_of().path) == written.path
    whole = windows_of("nowhere.zarr", fields[::-1], stores=stores, reference="2m_temperature")
    assert str(whole.store_of().path) == coarse.path


def test_other_levels_and_statistics_of_the_own_store(written, write_named):
    upper = write_named("upper.zarr", level=(10, 20, 50, 100))
    fields = [
        FieldSpec("temperature", [100, 10], (3, 3, 3), TEMPERATURE.window),
        FieldSpec("2m_temperature", [0], (6, 3, 6), TEMPERATURE.window),
    ]
    kept = MonthlyNormalizer()
    kept.load_state(
        {
            "mean": np.full((12, 1), 7.0),
            "std": np.ones((12, 1)),
            "latitude": np.zeros(1),
            "longitude": np.zeros(1),
        }
    )
    normalizers = {"temperature": MonthlyNormalizer(), "2m_temperature": kept}
    dataset = WindowDataset(written.path, stores={"temperature": upper.path})
    dataset.open(fields, normalizers)
    assert np.all(kept.mean == 7.0)
    expected = dataset.windows.store_of("temperature").statistics("temperature", [3, 0])
    mean, _ = expected.read("global", [0])
    np.testing.assert_array_equal(normalizers["temperature"].mean[0], mean[0])
    position = dataset.position("train", 0, 0, 0)
    values = upper.values["temperature"][position.time : position.time + 12, [3, 0]]
    place = (..., *np.ix_(*dataset.windows.indices(position)[1:]))
    cube = dataset.windows.cube("temperature", position)
    np.testing.assert_array_equal(cube.swapaxes(0, 1), values[place])


def test_statistics_of_grid_points_are_those_of_the_own_grid(written, write_named):
    coarse = write_named("coarse.zarr", **_coarse())
    window = Window((12, 3, 6))
    options = {"normalization": "grid_point", "predicted": False}
    field = FieldSpec("2m_temperature", [0], (12, 1, 1), window, **options)
    dataset = _opened(written, (coarse, field))
    sample = dataset.window("validation", 0, 5, Forecast())
    times, rows, columns = dataset.windows.indices(sample.position, "2m_temperature")
    statistics = dataset.windows.store_of("2m_temperature").statistics("2m_temperature")
    month = (
        dataset.windows.store_of("2m_temperature").time[times].astype("datetime64[M]").astype(int)
        % 12
    )
    mean, std = statistics.read("grid_point", month.tolist())
    mean, std = (a[:, 0][:, rows[:, None], columns] for a in (mean, std))
    expected = (sample.cubes["2m_temperature"][0] - mean) / std
    tokens = sample.inputs["2m_temperature/tokens"][0, 0]
    np.testing.assert_allclose(np.moveaxis(tokens, -1, 0), expected, rtol=1e-4, atol=1e-4)


def test_a_whole_record_is_served_beyond_the_end_of_each(written, write_named):
    slow = write_named("slow.zarr", hours=np.arange(0, 240, 3))
    field = FieldSpec("2m_temperature", [0], (1, 3, 6), Window((4, 6, 12), 3))
    fields, stores = [TEMPERATURE, field], {"2m_temperature": slow.path}
    windows = windows_of(written.path, fields, stores=stores)
    # Ends at 243 h: three times of one store and two of the other, 240 and 243 h, are to come.
    sample = windows.sample(Position(232, 3, 88), Forecast(), np.random.default_rng(0))
    assert (
        np.isnan(sample.cubes["temperature"]).any(axis=(0, 2, 3)).tolist()
        == [False] * 8 + [True] * 4
    )
    surface = np.isnan(sample.cubes["2m_temperature"]).any(axis=(0, 2, 3))
    assert surface.tolist() == [False, False, True, True]
    assert all(np.isfinite(a).all() for a in sample.inputs.values())
    times = windows.coordinates(sample.position, "2m_temperature")[0]
    last = written.description.time[0] + 243 * HOUR
    np.testing.assert_array_equal(times, last - np.arange(9, -1, -3) * HOUR)
    with pytest.raises(UserError, match=r"slow\.zarr does not have the times of the window at"):
        windows.sample(Position(231, 3, 88), Forecast(), np.random.default_rng(0))


def test_a_region_holds_the_windows_of_the_reference(written, write_named):
    fine = write_named("fine.zarr", **_fine())
    field = FieldSpec("2m_temperature", [0], (6, 3, 6), Window((12, 12, 24)))
    region = (0, 40, 300, 20)
    dataset = _opened(written, (fine, field), region=region)
    for index in range(40):
        _, latitude, longitude = dataset.windows.coordinates(dataset.position("train", 0, 0, index))
        assert latitude.min() >= 0 and latitude.max() <= 40
        assert ((longitude - 300) % 360).max() <= 80


def test_provenance_tells_all_stores(written, write_named):
    coarse = write_named("coarse.zarr", **_coarse())
    field = FieldSpec("2m_temperature", [0], (6, 3, 6), Window((12, 3, 6)))
    dataset = _opened(written, (coarse, field))
    told = json.loads(json.dumps(dataset.provenance()))
    assert told["store"] == written.path and told["units"] == {
        "temperature": "K",
        "2m_temperature": "K",
    }
    (name, of), *none = told["stores"].items()
    assert (name, of["store"], none) == ("2m_temperature", coarse.path, [])
    assert len(of["fingerprint"]) == 64 and of["fingerprint"] != told["fingerprint"]
    config = json.loads(json.dumps(dataset.get_config()))
    assert WindowDataset.from_config(config).stores == {"t2m": coarse.path}


def test_a_configuration_names_stores(tmp_path):
    from atmorep_k import config

    file = tmp_path / "two.gin"
    file.write_text(
        "include 'pretrain_field.gin'\nSTORE = 'a.zarr'\nWindowDataset.stores = {'t2m': 'b.zarr'}\n"
    )
    dataset = config.load([file]).build().dataset
    assert (dataset.store, dataset.stores) == ("a.zarr", {"t2m": "b.zarr"})


_T2M = {"name": "2m_temperature", "levels": [0], "token_size": (1, 1, 1)}
MISTAKES = [
    (
        {},
        Window((12, 6, 12)),
        {"temprature": "OTHER"},
        r"unknown field with a store of its own 'temprature'; did you mean 'temperature'\?",
    ),
    ({}, Window((12, 6, 12)), {"t2m": "OTHER", "2t": "b"}, "two stores are given for '2m_temp"),
    (
        {"hours": np.arange(9000, 9240)},
        Window((12, 6, 12)),
        {"t2m": "OTHER"},
        r"no window of 12 h of the train period has all its times both in .*global\.zarr "
        r"\(2020-01-28T00:00 to 2020-02-06T23:00 every 1 h\) and, for '2m_temperature', in "
        r".*other\.zarr \(2021-02-06T00:00 to 2021-02-15T23:00 every 1 h\)\.$",
    ),
    (
        _fine(),
        Window((12, 6, 12)),
        {"t2m": "OTHER"},
        r"see different windows: 24 x 48 degrees \(lat, lon\) of .*global\.zarr and 12 x 24 "
        r"degrees \(lat, lon\) of .*other\.zarr; the nearest shape that fits '2m_temperature' is "
        r"\(12, 12, 24\)\.$",
    ),
    (
        {"latitude": np.arange(10, -1, -1.0), "longitude": np.arange(20.0)},
        Window((12, 6, 12)),
        {"t2m": "OTHER"},
        "no shape fits '2m_temperature' in a grid of 11 x 20 points, 1 x 1 degrees apart",
    ),
    (
        {},
        Window((6, 6, 12)),
        {"t2m": "OTHER"},
        r"'temperature' sees 12 h and '2m_temperature' 6 h \(6 times every 1 h\); 12 times every "
        r"1 h would fit\.$",
    ),
    (
        {"hours": np.arange(0, 240, 3)},
        Window((12, 6, 12)),
        {"t2m": "OTHER"},
        "step of 1 h is not a multiple of the store's step of 3 h",
    ),
]


@pytest.mark.parametrize(("changes", "window", "stores", "message"), MISTAKES)
def test_mistakes_are_told_before_anything_is_read(
    written, write_named, monkeypatch, changes, window, stores, message
):
    other = write_named("other.zarr", **changes)
    stores = {n: other.path if s == "OTHER" else s for n, s in stores.items()}
    dataset = WindowDataset(written.path, stores=stores)
    monkeypatch.setattr(Serving, "read", lambda *_: pytest.fail("values were read"))
    with pytest.raises(UserError, match=message):
        dataset.open([TEMPERATURE, FieldSpec(**_T2M, window=window)])


def test_stores_of_other_places_are_refused(written, write_named):
    north, south = (
        write_named(
            f"{name}.zarr", latitude=np.arange(top, top - 30, -1.0), longitude=np.arange(50.0)
        )
        for name, top in (("north", 60), ("south", -20))
    )
    fields = [
        FieldSpec("temperature", [500], (3, 3, 3), Window((12, 12, 12))),
        FieldSpec("2m_temperature", [0], (3, 3, 3), Window((12, 12, 12))),
    ]
    dataset = WindowDataset(north.path, stores={"t2m": south.path})
    with pytest.raises(
        UserError, match=r"latitudes 31 to 60, .* in .*south\.zarr \(latitudes -49 to -20"
    ):
        dataset.open(fields)
