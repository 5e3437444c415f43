"""Hidden states of tokens: those that the model itself goes on with, labelled and in place."""

import os

import keras
import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner
from whole_records import windows_of

from atmorep_k.cli import main
from atmorep_k.components.datasets import WindowDataset
from atmorep_k.errors import UserError
from atmorep_k.fields import Position
from atmorep_k.inference.output import check_prediction_output, open_prediction
from atmorep_k.tasks.features import features
from atmorep_k.tasks.features_maps import principal_colours
from atmorep_k.tasks.token_states import seen_whole

TIME = "2020-01-03T06"


@pytest.fixture(scope="module")
def store(tmp_path_factory, write_tiny_store):
    # 9 rows of 20 degrees: the last one is no whole token. 20 columns are two windows and a half.
    path = tmp_path_factory.mktemp("store") / "odd.zarr"
    return str(write_tiny_store(path, points=(9, 20)))


@pytest.fixture(scope="module")
def model(make_model, randomize, store):
    made = make_model()
    WindowDataset(store).open(made.fields, made.normalizers)
    made.build()
    return randomize(made, scale=0.3)


@pytest.mark.backend
def test_the_tail_makes_the_prediction_of_what_the_decoder_gives(model, store):
    (field,) = model.fields
    found = features(model, store, [TIME], origin="decoder", batch_size=2)["features"]
    assert found.sizes == {
        "time": 1, "level": 2, "token_time": 2, "latitude": 4, "longitude": 10, "feature": 16
    }  # fmt: skip
    assert found.notnull().all()
    dataset = windows_of(store, model.fields, model.normalizers)
    start = int(np.flatnonzero(dataset.store_of().time == np.datetime64(TIME))[0]) - 3
    for row, column in ((0, 0), (4, 8)):
        inputs = seen_whole(model, dataset, Position(start, row, column))
        index = np.array([[0, 5, 9], [3, 8, 15]], np.int32)
        inputs["temperature/masked_index"] = index
        predicted = model.predict_on_batch({k: v[None] for k, v in inputs.items()})
        place = slice(row // 2, row // 2 + 2), slice(column // 2, column // 2 + 4)
        window = found.values[0][:, :, *place]
        tokens = np.take_along_axis(window.reshape(2, 16, 16), index[..., None], 1)
        expected = model.part("tail", field.name)(tokens[None])
        expected = keras.ops.convert_to_numpy(expected)
        np.testing.assert_allclose(predicted["temperature"], expected, atol=2e-4)


@pytest.fixture(scope="module")
def found(model, store):
    return features(model, store, [TIME, "2020-01-02"])


def test_labels_are_the_middles_of_tokens(found):
    times = np.array(["2020-01-02T00", "2020-01-03T06"], "datetime64[ns]")
    np.testing.assert_array_equal(found["time"], times)
    np.testing.assert_array_equal(found["token_time"] / np.timedelta64(1, "m"), [-150, -30])
    np.testing.assert_allclose(found["latitude"], [70, 30, -10, -50])
    np.testing.assert_allclose(found["longitude"], 9 + 36 * np.arange(10))


def test_the_encoder_gives_its_last_layer(model, store, found):
    dataset = windows_of(store, model.fields, model.normalizers)
    start = int(np.flatnonzero(dataset.store_of().time == np.datetime64(TIME))[0]) - 3
    inputs = seen_whole(model, dataset, Position(start, 0, 0))
    embedded = model.networks["temperature"].embed({k: v[None] for k, v in inputs.items()})
    expected = model.part("encoder", "temperature")(embedded)[-1]
    expected = np.asarray(expected).reshape(2, 2, 2, 4, 16)
    window = found["features"].sel(time=TIME).values[:, :, :2, :4]
    np.testing.assert_allclose(window, expected, atol=1e-5)


def test_a_region_goes_on_round_the_globe(model, store, found):
    region = features(model, store, [TIME], region=(-60, 0, 280, 100))
    np.testing.assert_allclose(region["longitude"], [-63, -27, 9, 45, 81])
    np.testing.assert_allclose(region["latitude"], [-10, -50])
    whole = found["features"].sel(time=[TIME])
    assert region["features"].notnull().all()
    # The last window of the globe is the first one of the region; two of its tokens are another's.
    of_last, of_first = ([-63, -27], [297, 333]), ([9], [9])
    for (own, there), same in ((of_last, True), (of_first, False)):
        one = region["features"].sel(longitude=own)
        other = whole.sel(longitude=there, latitude=region["latitude"])
        assert np.allclose(one, other, atol=1e-5) == same


def test_the_command_writes_what_the_function_gives(model, store, found, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model.save("model.keras")
    words = ["features", "model.keras", "--store", store, "--time", TIME, "--time", "2020-01-02"]
    result = CliRunner().invoke(main, [*words, "--output", "f.zarr"])
    printed = "f.zarr\nf_plots/features_temperature.png\n"
    assert (result.exit_code, result.stdout) == (0, printed), result.output
    with open_prediction(tmp_path / "f.zarr") as written:
        xr.testing.assert_allclose(written.load(), found, atol=1e-5)
    again = CliRunner().invoke(main, [*words, "--output", "f.zarr"])
    assert again.exit_code == 1 and "f.zarr already exists" in again.output
    assert sorted(os.listdir()) == ["f.zarr", "f_plots", "model.keras"]
    assert os.listdir("f_plots") == ["features_temperature.png"]
    check_prediction_output(
        tmp_path / "f.zarr", True, dim="feature"
    )  # may be replaced, as it is known
    with pytest.raises(UserError, match="is not a prediction"):
        check_prediction_output(tmp_path / "f.zarr", True)


def test_colours_are_principal_components():
    # Three directions of independent signs and of sizes 3, 2 and 1, turned at random.
    signs = np.array(np.meshgrid(*[(-1, 1)] * 3, indexing="ij")).reshape(3, 8).T
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((5, 5)))[0][:3]
    states = (signs * (3, 2, 1)) @ turn + 7
    colours, explained = principal_colours(states.reshape(2, 4, 5))
    assert colours.shape == (2, 4, 3)
    np.testing.assert_allclose(explained, np.array([9, 4, 1]) / 14)
    for part, sign in zip(colours.reshape(8, 3).T, signs.T, strict=True):
        same = np.isclose(part, (sign + 1) / 2)
        assert same.all() or np.isclose(part, (1 - sign) / 2).all()


def test_colours_of_what_hardly_varies():
    colours, explained = principal_colours(np.ones((4, 2)))
    np.testing.assert_array_equal(colours, 0)
    np.testing.assert_array_equal(explained, 0)


MISTAKES = [
    ({"field": "temprature"}, "did you mean 'temperature'?"),
    ({"origin": "tail"}, "features come from the encoder or the decoder, not from 'tail'."),
    ({"region": (0, 20, 0, 90)}, "a window of 2 x 4 tokens (lat, lon) does not fit the region"),
    ({"times": ["2020-01-01T02"]}, "the first possible time is 2020-01-01T03:00."),
    ({"batch_size": 0}, "the batch size must be at least 1, not 0."),
    ({"output": "f.txt"}, "the name must end in .zarr or .nc."),
]


@pytest.mark.parametrize(("change", "sentence"), MISTAKES, ids=lambda case: str(case)[:30])
def test_mistakes_are_one_sentence(model, store, change, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as error:
        features(model, store, **{"times": [TIME], "output": "f.zarr", **change})
    assert sentence in str(error.value)
    assert not os.listdir(tmp_path)


def test_a_decoder_of_hidden_tokens_has_no_features(make_model, store):
    apart = make_model(encode="apart")
    apart.build()
    with pytest.raises(UserError, match="decodes masked tokens only"):
        features(apart, store, [TIME], origin="decoder")
