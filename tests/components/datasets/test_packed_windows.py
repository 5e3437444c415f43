"""Windows of stores whose values are 16-bit integers."""

import numpy as np
import pytest
import zarr
from whole_records import windows_of

from atmorep_k.batch import tokenize
from atmorep_k.components.datasets import Position
from atmorep_k.components.maskings import Forecast, MissingTokens, RandomTokens
from atmorep_k.data.opening import open_store
from atmorep_k.data.stores.layout import Layout, StoreDescription
from atmorep_k.data.stores.packing import MISSING, Packing
from atmorep_k.data.writing.write_store import write_store
from atmorep_k.earth.variables import VariableInfo
from atmorep_k.errors import UserError
from atmorep_k.fields import FieldSpec, Window
from atmorep_k.windows.filling import fill_tokens

WINDOW = Window((12, 6, 12))
LEVELS = np.array([500.0, 700.0, 850.0])
PACKING = Packing([0.01, 0.002, 0.003], [250.0, 1e-3, -40.0])


def _values():
    integers = np.random.default_rng(0).integers(-32000, 32000, (240, 3, 46, 90)).astype(np.int16)
    return integers, {"temperature": PACKING.unpack(integers), "surface": integers[:, :1] / 4.0}


def _write(path, packing):
    description = StoreDescription(
        np.datetime64("2020-01-28T00", "h") + np.arange(240),
        LEVELS,
        np.linspace(90, -90, 46),
        np.arange(90) * 4.0,
        {
            "temperature": VariableInfo("K", "", "", True),
            "surface": VariableInfo("K", "", "", False),
        },
        {"title": "test"},
        Layout(packing=packing),
    )
    packings = {"temperature": PACKING, "surface": Packing([0.25], [0.0])}
    packings = packings if packing == "int16" else {}
    values = _values()[1]
    return write_store(path, description, [values], packings=packings)


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """The same values as integers and as float32."""
    folder = tmp_path_factory.mktemp("packed")
    return [str(_write(folder / f"{p}.zarr", p)) for p in ("int16", "float32")]


def _fields(normalization):
    return [
        FieldSpec("temperature", [850, 500], (3, 3, 3), WINDOW, normalization=normalization),
        FieldSpec("surface", [0], (6, 2, 4), WINDOW, normalization=normalization),
    ]


def _opened(path, normalization="global", normalizers=None):
    return windows_of(path, _fields(normalization), normalizers)


@pytest.mark.parametrize("position", [Position(7, 3, 5), Position(20, 40, 85), Position(90, 0, 0)])
def test_a_cube_holds_the_values(stores, position):
    packed, plain = map(_opened, stores)
    for name in ("temperature", "surface"):
        cube = packed.cube(name, position)
        assert cube.dtype == np.float32
        np.testing.assert_array_equal(cube, plain.cube(name, position))


# Times within one month, across the end of January, and beyond the record.
@pytest.mark.parametrize("time", [7, 90, 232])
@pytest.mark.parametrize("normalization", ["global", "grid_point"])
def test_tokens_are_those_of_plain_values_to_rounding(stores, normalization, time):
    plain = _opened(stores[1], normalization)
    packed = _opened(stores[0], normalization, plain.normalizers)
    place = Position(time, 12, 85)
    ours, theirs = (
        d.sample(place, RandomTokens(), np.random.default_rng(0)) for d in (packed, plain)
    )
    for name, array in theirs.inputs.items():
        np.testing.assert_allclose(ours.inputs[name], array, atol=5e-5, err_msg=name)
    for name, array in theirs.targets.items():
        np.testing.assert_allclose(ours.targets[name], array, atol=5e-5)
        np.testing.assert_array_equal(ours.cubes[name], theirs.cubes[name])


@pytest.mark.parametrize("times", [1, 12])
@pytest.mark.parametrize("places", [(1, 1), (6, 12)])
def test_unpacking_and_normalising_at_once_is_one_after_the_other(times, places):
    rng = np.random.default_rng(1)
    stored = rng.integers(-32767, 32767, (3, 12, 6, 12)).astype(np.int16)
    mean = rng.normal(size=(3, times, *places)) + PACKING.offset[:, None, None, None]
    std = rng.random((3, times, *places)) * 100 + 1
    out = np.empty((3, 4, 2, 4, 27), np.float32)
    fill_tokens(stored, PACKING, (mean, std), (3, 3, 3), out)
    step, offset = (a[:, None, None, None] for a in (PACKING.scale, PACKING.offset))
    expected = tokenize((stored * step + offset - mean) / std, (3, 3, 3))
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-5)


def test_a_window_is_left_as_it_was_read(stores):
    packed = _opened(stores[0])
    stored = packed.read("temperature", Position(7, 3, 5)).result()
    assert stored.dtype == np.int16
    expected = _values()[0][7:19, [2, 0], 3:9, 5:17].swapaxes(0, 1)
    np.testing.assert_array_equal(stored, expected)


def test_xarray_sees_values(stores):
    packed, plain = (open_store(path).dataset() for path in stores)
    assert {"packing_scale", "scale_factor"}.isdisjoint(packed["surface"].attrs)
    for name in ("temperature", "surface"):
        assert packed[name].dtype == np.float32 and packed[name].attrs["units"] == "K"
    for key in (
        {"time": slice(3, 9), "latitude": slice(None, None, -5), "longitude": 7},
        {"time": 4},
        {"time": 4, "level": 1},
        {"time": [2, 1], "level": [2, 0], "longitude": slice(40, 50)},
        {"level": slice(None, None, -1), "time": slice(5)},
    ):
        ours, theirs = (of["temperature"].isel(key).values for of in (packed, plain))
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(packed["surface"][5].values, plain["surface"][5].values)


def test_missing_integers_are_refused_and_are_not_numbers(tmp_path):
    path = _write(tmp_path / "made.zarr", "int16")
    zarr.open_group(path)["temperature"][30, 2, 20, 10] = MISSING
    dataset = _opened(str(path))
    where = "2020-01-29T06:00, level 850, latitude 10, longitude 40"
    with pytest.raises(UserError, match=f"'temperature' in .* missing values .*, at {where}"):
        dataset.sample(Position(25, 18, 5), Forecast(), np.random.default_rng(0))
    values = open_store(path).dataset()["temperature"][30].values
    assert np.isnan(values[2, 20, 10]) and np.isnan(values).sum() == 1


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_missing_values_are_kept_for_a_masking_if_asked(tmp_path, dtype):
    path, place = _write(tmp_path / "made.zarr", dtype), Position(25, 18, 5)
    rng, masking = np.random.default_rng(0), MissingTokens()
    whole = _opened(str(path)).sample(place, masking, rng, missing="keep")
    assert not whole.weights["temperature"].any()
    zarr.open_group(path)["temperature"][30, 2, 20, 10] = MISSING if dtype == "int16" else np.inf
    dataset = _opened(str(path))
    field = dataset.fields[0]
    spot = np.zeros((2, *field.window.shape), bool)
    spot[0, 5, 2, 5] = True  # level 850 is the first one of the field
    gap = tokenize(spot, field.token_size).any(axis=-1)
    np.testing.assert_array_equal(dataset.gaps(place)["temperature"], gap.reshape(2, -1))
    assert not dataset.gaps(place)["surface"].any()
    found = dataset.sample(place, masking, rng, missing="keep")
    weights = found.weights["temperature"]
    assert weights.tolist() == [[1], [0]]
    assert found.inputs["temperature/masked_index"][0, 0] == np.flatnonzero(gap[0])[0]
    np.testing.assert_array_equal(np.isnan(found.cubes["temperature"]), spot)
    tokens, others = (s.inputs["temperature/tokens"] for s in (found, whole))
    assert (tokens[gap] == 0).all()
    np.testing.assert_allclose(tokens[~gap], others[~gap], atol=1e-4)


def test_known_values_may_count_as_missing(stores):
    def without(times, latitude, longitude):
        rows, columns = latitude > 10, longitude < 32
        return (times >= times[9])[:, None, None] & rows[:, None] & columns

    dataset, place = _opened(stores[0]), Position(25, 18, 5)
    _, latitude, longitude = dataset.coordinates(place)
    expected = np.zeros((2, 12, 6, 12), bool)
    expected[:, 9:, (latitude > 10).nonzero()[0][:, None], (longitude < 32).nonzero()[0]] = True
    assert 0 < expected.mean() < 0.25
    gaps = tokenize(expected, (3, 3, 3)).any(axis=-1).reshape(2, -1)
    np.testing.assert_array_equal(dataset.gaps(place, without)["temperature"], gaps)
    options = {"missing": "keep", "without": without}
    found = dataset.sample(place, MissingTokens(40), np.random.default_rng(0), **options)
    np.testing.assert_array_equal(np.isnan(found.cubes["temperature"]), expected)
