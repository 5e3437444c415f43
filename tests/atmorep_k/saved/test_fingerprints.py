"""What the weights of a file are: told by field, and compared with those of another."""

import hashlib
import math
import shutil
from io import BytesIO

import h5py
import keras
import numpy as np
import pytest
from saved_models import rewrite

from atmorep_k import components
from atmorep_k.errors import UserError
from atmorep_k.saved.file import STATISTICS, WEIGHTS
from atmorep_k.saved.fingerprints import arrays, differences, fingerprints


@pytest.fixture(scope="module")
def save(make_model, make_field, randomize, tmp_path_factory):
    """Function (names, dtype) -> path of a model of these fields, with statistics."""
    folder = tmp_path_factory.mktemp("models")

    def write(*names, dtype=None, couplings=(), name=None):
        fields = [make_field(n, couplings=couplings if n == names[0] else ()) for n in names]
        encoder = components.encoders.Encoder(
            num_layers=1, block=components.blocks.TransformerBlock(num_heads=2, dropout=0.1)
        )
        coupler = components.couplers.CrossFieldAttention(num_heads=2)
        keras.utils.set_random_seed(0)
        model = make_model(fields, encoder=encoder, coupler=coupler, dtype=dtype)
        model.build()
        randomize(model)
        model.compile(optimizer="sgd", loss=components.losses.EnsembleMSE())
        for number, field in enumerate(sorted(names)):
            model.normalizers[field].load_state(_statistics(number))
        path = folder / f"{name or '_'.join(names)}_{dtype}.keras"
        model.save(path)
        return path, model

    return write


def _statistics(number):
    return {
        "mean": np.full((12, 2), 200.0 + number, "float32"),
        "std": np.full((12, 2), 2.0, "float32"),
        "latitude": np.arange(3.0),
        "longitude": np.arange(4.0),
    }


@pytest.fixture(scope="module")
def two(save):
    """A model of two fields whose names have underscores, and the file of it."""
    return save("2m_temperature", "u_component_of_wind")


@pytest.fixture
def changed(two, tmp_path):
    """Function (change) -> a copy of the file, its group of weights changed by `change`."""

    def write(change):
        path = shutil.copy(two[0], tmp_path / "changed.keras")
        rewrite(path, WEIGHTS, lambda data: _edited(data, change))
        return path

    return write


def _edited(data, change):
    file = BytesIO(data)
    with h5py.File(file, "r+") as weights:
        change(weights)
    return file.getvalue()


@pytest.mark.backend
def test_all_weights_are_there_with_their_places(two):
    path, model = two
    found = list(arrays(path))
    names = [name for _, _, name, _ in found]
    assert names == sorted(names)
    weights = {(f, r): 0 for f, r, _, _ in found}
    for field, role, _, array in found:
        weights[field, role] += array.size
    for field in model.fields:
        for role in ("tokenizer", "token_info", "encoder", "decoder", "tail"):
            trained = model.part(role, field.name).trainable_variables
            expected = sum(math.prod(v.shape) for v in trained)
            assert weights.pop((field.name, role)) == expected, (field.name, role)
        assert weights.pop((field.name, "normalizer")) == 12 * 2 * 2 + 3 + 4
    assert not weights  # neither optimiser nor metrics nor states of dropout


@pytest.mark.backend
def test_values_are_those_of_the_model(two):
    path, model = two
    found = {name: array for _, _, name, array in arrays(path)}
    kernel = model.part("tokenizer", "2m_temperature").weights[0]
    np.testing.assert_array_equal(
        found["field_2m_temperature_tokenizer/linear/vars/0"], keras.ops.convert_to_numpy(kernel)
    )
    mean = found["assets/statistics.npz/u_component_of_wind/mean"]
    np.testing.assert_array_equal(mean, np.full((12, 2), 201, "float32"))


def test_a_directory_of_a_run_is_its_model(two, tmp_path):
    shutil.copy(two[0], tmp_path / "model.keras")
    assert fingerprints(tmp_path) == fingerprints(two[0])


def test_a_fingerprint_is_the_hash_that_is_documented(two):
    path, _ = two
    expected = hashlib.sha256()
    for field, _, name, array in arrays(path):
        if field == "2m_temperature":
            expected.update(f"{name}\0{array.dtype.str}\0{array.shape}\0".encode())
            expected.update(array.tobytes())
    assert fingerprints(path)["2m_temperature"] == expected.hexdigest()


def test_fingerprints_do_not_depend_on_the_order_of_fields(two, tmp_path):
    path, model = two
    config = {**model.get_config(), "name": "other"}
    config["fields"] = config["fields"][::-1]
    turned = type(model).from_config(config)
    turned.build()
    for field in model.fields:
        for role in ("tokenizer", "token_info", "encoder", "decoder", "tail"):
            pairs = zip(
                turned.part(role, field.name).trainable_variables,
                model.part(role, field.name).trainable_variables,
                strict=True,
            )
            for target, source in pairs:
                target.assign(source)
        turned.normalizers[field.name].load_state(model.normalizers[field.name].state())
    turned.save(tmp_path / "turned.keras")
    assert fingerprints(tmp_path / "turned.keras") == fingerprints(path)
    assert differences(path, tmp_path / "turned.keras", ["2m_temperature"]) == []


NARROW = "field_2m_temperature/encoder/blocks/transformer_block/mlp/narrow/vars"
# The name is that of format 1, whatever the format.
NAME = "field_2m_temperature_encoder/blocks/transformer_block/mlp/narrow/vars"


def _last_bit(weights):
    values = weights[f"{NARROW}/0"][()]
    values.view("uint32")[0, 0] ^= 1
    weights[f"{NARROW}/0"][...] = values


def _other_type(weights):
    values = weights[f"{NARROW}/1"][()].astype("float64")
    del weights[f"{NARROW}/1"]
    weights[f"{NARROW}/1"] = values


def _other_shape(weights):
    values = weights[f"{NARROW}/0"][()]
    del weights[f"{NARROW}/0"]
    weights[f"{NARROW}/0"] = values.reshape(values.shape[::-1])


def _missing(weights):
    del weights[f"{NARROW}/0"]


@pytest.mark.parametrize(
    ("change", "number"),
    [(_last_bit, 0), (_other_type, 1), (_other_shape, 0), (_missing, 0)],
)
def test_every_change_is_a_difference_of_its_field_alone(two, changed, change, number):
    base, other = two[0], changed(change)
    both = ["2m_temperature", "u_component_of_wind"]
    assert differences(base, other, both) == [f"{NAME}/{number}"]
    assert differences(base, other, both[1:]) == []
    before, after = fingerprints(base), fingerprints(other)
    assert before["2m_temperature"] != after["2m_temperature"]
    assert before["u_component_of_wind"] == after["u_component_of_wind"]


def test_statistics_count_to_the_field(two, tmp_path):
    path, _ = two
    other = shutil.copy(path, tmp_path / "other.keras")

    def edit(data):
        with np.load(BytesIO(data)) as old:
            new = {key: old[key] for key in old}
        new["2m_temperature/std"] = new["2m_temperature/std"] + 1
        written = BytesIO()
        np.savez_compressed(written, **new)
        return written.getvalue()

    rewrite(other, STATISTICS, edit)
    both = ["2m_temperature", "u_component_of_wind"]
    assert differences(path, other, both) == ["assets/statistics.npz/2m_temperature/std"]
    assert fingerprints(path)[both[0]] != fingerprints(other)[both[0]]
    assert fingerprints(path)[both[1]] == fingerprints(other)[both[1]]


def test_what_is_added_is_no_difference(save):
    path, model = save("2m_temperature", "u_component_of_wind", name="before")
    coupled, more = save(
        "2m_temperature",
        "u_component_of_wind",
        couplings=["u_component_of_wind"],
        name="after",
    )
    old = {v.path: v for v in model.trainable_variables}
    for variable in more.trainable_variables:
        if "coupled_" not in variable.path:
            variable.assign(old.pop(variable.path))
    assert not old
    more.save(coupled)
    assert differences(path, coupled, ["2m_temperature", "u_component_of_wind"]) == []
    there = differences(coupled, path, ["2m_temperature"])
    assert there and all("/coupled_u_component_of_wind/" in name for name in there)


@pytest.mark.backend
def test_half_precision_is_compared_as_it_is(save):
    path, _ = save("temperature", dtype="bfloat16")
    kernel = next(a for _, r, _, a in arrays(path) if r == "tokenizer")
    assert kernel.dtype.itemsize == 2
    assert differences(path, path, ["temperature"]) == []


def test_a_field_that_is_not_there_is_named(two):
    path, _ = two
    with pytest.raises(UserError, match=r"'2m_temperatur'; did you mean '2m_temperature'\?"):
        differences(path, path, ["2m_temperatur"])


def test_what_is_no_model_ends_in_one_sentence(two, tmp_path):
    with pytest.raises(UserError, match=r"no model at .*absent"):
        fingerprints(tmp_path / "absent")
    broken = tmp_path / "broken.keras"
    broken.write_bytes(two[0].read_bytes()[:4000])
    with pytest.raises(UserError, match=r"broken\.keras is not a saved Keras model"):
        next(arrays(broken))
    shutil.copy(two[0], broken)
    rewrite(broken, WEIGHTS, lambda data: data[: len(data) // 2])
    with pytest.raises(UserError, match=r"broken\.keras is not a saved Keras model"):
        differences(two[0], broken, ["2m_temperature"])
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(broken)
    with pytest.raises(UserError, match=r"holds a Sequential, not a model of atmorep_k"):
        fingerprints(broken)
