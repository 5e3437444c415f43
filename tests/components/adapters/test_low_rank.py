"""Low-rank adapters: what they compute, what they train, what files hold of them."""

import json
import zipfile

import h5py
import keras
import numpy as np
import pytest
from keras import ops

from atmorep_k.backend.weight_paths import matches, path_in_model
from atmorep_k.components import blocks, couplers, decoders, encoders, losses
from atmorep_k.components.adapters import LowRankAdapters
from atmorep_k.errors import UserError

PATTERNS = ("encoder/*", "!encoder/vorticity/*", "decoder/temperature/*/mlp/*")
# Nothing reads the last layer of a field that is input only.
pytestmark = [pytest.mark.backend, pytest.mark.filterwarnings("ignore:Gradients do not exist")]
DTYPES = pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])


@pytest.fixture
def fields(make_field):
    """Two fields: one is input only, the other attends to it and is predicted."""
    return [make_field("vorticity", predicted=False), make_field(couplings=["vorticity"])]


@pytest.fixture
def build(make_model, fields):
    """Function (seed, dtype) that builds a model of two coupled fields, with dropout."""

    def make(seed=3, dtype=None, **changes):
        keras.utils.set_random_seed(seed)
        parts = {
            "encoder": encoders.Encoder(
                num_layers=1, block=blocks.TransformerBlock(num_heads=2, dropout=0.2)
            ),
            "decoder": decoders.UNetDecoder(
                num_layers=1, block=blocks.TransformerBlock(num_heads=2)
            ),
            "coupler": couplers.CrossFieldAttention(num_heads=2),
        }
        model = make_model(fields, dtype=dtype, **{**parts, **changes})
        model.build()
        return model

    return make


@pytest.fixture
def adapted(build):
    """Function (seed, dtype, adapters) that builds a model and gives it adapters."""

    def make(seed=3, dtype=None, **options):
        model = build(seed, dtype)
        LowRankAdapters(**{"patterns": PATTERNS, "rank": 2, "alpha": 6.0, **options}).attach(model)
        return model

    return make


def by_path(model):
    return {
        path_in_model(v.path): ops.convert_to_numpy(v).copy()
        for v in model.variables
        if v.name != "seed_generator_state"
    }


def kernels(model):
    """Returns the paths of the kernels that have an adapter."""
    return [p.replace("lora_kernel_a", "kernel") for p in by_path(model) if p.endswith("_a")]


def predict(model, inputs):
    outputs = (
        model(inputs) if keras.backend.backend() == "torch" else model.predict_on_batch(inputs)
    )
    return {name: np.asarray(ops.convert_to_numpy(o), "float32") for name, o in outputs.items()}


def assert_same(one, other, **tolerance):
    assert one.keys() == other.keys()
    for name, value in one.items():
        np.testing.assert_allclose(value, other[name], **{"rtol": 0, "atol": 0, **tolerance})


def train(model, batches, checkpoint=None):
    """Returns the loss of each step."""
    optimizer = keras.optimizers.AdamW(1e-2, weight_decay=0.01)
    model.compile(optimizer=optimizer, loss=losses.EnsembleMSE())
    optimizer.build(model.trainable_variables)
    if checkpoint:
        model.load_weights(checkpoint)
    return [float(model.train_on_batch(*b, return_dict=True)["loss"]) for b in batches]


@pytest.fixture
def batches(make_batch, fields):
    """Four batches."""
    return [make_batch(fields, seed=number) for number in range(4)]


@DTYPES
def test_predictions_are_unchanged_at_the_start(dtype, build, batches):
    model, inputs = build(dtype=dtype), batches[0][0]
    before = predict(model, inputs)
    LowRankAdapters(rank=2).attach(model)
    assert_same(before, predict(model, inputs))


def test_chosen_kernels_have_adapters_of_their_shape(build, adapted):
    expected = [
        path for path in by_path(build()) if path.endswith("/kernel") and matches(path, PATTERNS)
    ]
    model = adapted()
    weights = by_path(model)
    assert kernels(model) == expected
    assert "encoder/temperature/block_0/coupled_vorticity/project/kernel" in expected
    for path in expected:
        inputs, outputs = weights[path].shape
        a, b = (weights[path.replace("kernel", f"lora_kernel_{x}")] for x in "ab")
        assert a.shape == (inputs, 2) and b.shape == (2, outputs)
        assert 0 < np.abs(a).max() <= np.sqrt(6 / inputs) and not b.any()


def test_by_default_all_dense_layers_of_encoders_and_decoders_are_adapted(build):
    model = build()
    expected = [
        p for p in by_path(model) if p.startswith(("encoder", "decoder")) and p.endswith("kernel")
    ]
    LowRankAdapters().attach(model)
    assert kernels(model) == expected and len(expected) > 10


def test_the_start_follows_from_the_seed(adapted):
    one, same, other = by_path(adapted()), by_path(adapted()), by_path(adapted(seed=4))
    assert_same(one, same)
    for path in one:
        if path.endswith("lora_kernel_a"):
            assert (one[path] != other[path]).any()


def test_kernels_are_frozen_and_what_was_frozen_stays_so(build):
    model = build()
    frozen = ["encoder/vorticity/*", "encoder/temperature/*"]
    for variable in model.trainable_variables:
        variable.trainable = not matches(path_in_model(variable.path), frozen)
    before = {path_in_model(v.path) for v in model.trainable_variables}
    LowRankAdapters(patterns=PATTERNS).attach(model)
    now = {path_in_model(v.path) for v in model.trainable_variables}
    learnt = {p.replace("kernel", f"lora_kernel_{x}") for p in kernels(model) for x in "ab"}
    assert now == before - set(kernels(model)) | learnt
    LowRankAdapters().detach(model)
    assert {path_in_model(v.path) for v in model.trainable_variables} == before


def test_training_moves_adapters_and_leaves_their_kernels(adapted, batches):
    model = adapted()
    first = by_path(model)
    train(model, batches[:2])
    then = by_path(model)
    for path in kernels(model):
        assert (first[path] == then[path]).all()
        for part in "ab":
            learnt = path.replace("kernel", f"lora_kernel_{part}")
            assert (first[learnt] != then[learnt]).any(), learnt
    bias = "encoder/temperature/block_0/mlp/widen/bias"
    assert (first[bias] != then[bias]).any()


@DTYPES
def test_merged_kernels_are_the_sum_and_predict_the_same(dtype, adapted, randomize, batches):
    model, inputs = randomize(adapted(dtype=dtype)), batches[0][0]
    before, predicted, learnt = by_path(model), predict(model, inputs), kernels(model)
    LowRankAdapters().detach(model)
    after = by_path(model)
    for path, kernel in after.items():
        expected = before[path]
        if path in learnt:
            a, b = (before[path.replace("kernel", f"lora_kernel_{x}")] for x in "ab")
            expected = expected + 6.0 / 2 * a @ b
            assert np.abs(kernel - before[path]).max() > 1e-3
        np.testing.assert_allclose(kernel, expected, rtol=1e-5, atol=1e-6)
    tolerance = 1e-5 if dtype == "float32" else 3e-2
    assert_same(predict(model, inputs), predicted, atol=tolerance)


def test_a_resumed_training_repeats_the_numbers(adapted, batches, tmp_path):
    whole, begun, resumed = (adapted() for _ in range(3))
    expected = train(whole, batches)
    train(begun, batches[:2])
    begun.save(tmp_path / "half.keras")
    assert train(resumed, batches[2:], tmp_path / "half.keras") == expected[2:]
    assert_same(by_path(whole), by_path(resumed))


@DTYPES
def test_a_checkpoint_restores_all_weights_exactly(dtype, adapted, randomize, tmp_path):
    saved, other = (randomize(adapted(seed, dtype), seed) for seed in (3, 4))
    saved.save(tmp_path / "model.keras")
    other.load_weights(tmp_path / "model.keras")
    assert_same(by_path(saved), by_path(other))


def contents(path):
    """Returns the configuration, and the shapes of all arrays by name, of a saved model."""
    shapes = {}
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))["config"]
        with archive.open("model.weights.h5") as file, h5py.File(file) as weights:
            weights.visititems(lambda name, item: shapes.update({name: getattr(item, "shape", 0)}))
    return config, shapes


@DTYPES
def test_a_model_saved_without_its_adapters_is_a_plain_one(
    dtype, build, randomize, batches, tmp_path
):
    model, adapters = build(dtype=dtype), LowRankAdapters(patterns=PATTERNS)
    model.save(tmp_path / "before.keras")
    adapters.attach(model)
    randomize(model)
    adapters.detach(model)
    model.save(tmp_path / "after.keras")
    assert contents(tmp_path / "after.keras") == contents(tmp_path / "before.keras")
    loaded = keras.saving.load_model(tmp_path / "after.keras")
    assert_same(by_path(loaded), by_path(model))
    assert_same(predict(loaded, batches[0][0]), predict(model, batches[0][0]))


def test_a_checkpoint_opens_as_a_plain_model_with_merged_kernels(adapted, randomize, tmp_path):
    model = randomize(adapted())
    model.save(tmp_path / "checkpoint.keras")
    loaded = by_path(keras.saving.load_model(tmp_path / "checkpoint.keras"))
    LowRankAdapters().detach(model)
    assert_same(loaded, by_path(model), atol=1e-6)


def test_adapters_can_be_given_again(adapted):
    model = adapted()
    LowRankAdapters().detach(model)
    LowRankAdapters(patterns=PATTERNS, rank=3).attach(model)
    assert by_path(model)[kernels(model)[0].replace("kernel", "lora_kernel_b")].shape[0] == 3


@pytest.mark.parametrize("options", [{"rank": 3}, {"patterns": ["encoder/*"]}])
def test_other_adapters_are_told_apart(options, adapted, tmp_path):
    adapted().save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match="the file has other adapters than the model"):
        adapted(**options).load_weights(tmp_path / "model.keras")


def test_a_file_without_adapters_is_refused(build, adapted, tmp_path):
    build().save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match="the file has other adapters than the model"):
        adapted().load_weights(tmp_path / "model.keras")


@pytest.mark.parametrize(
    ("patterns", "said"),
    [
        (["encoder/vortcity/*"], r"no kernel of a dense layer .*; did you mean 'encoder/vort"),
        (["*", "tail/*"], "no kernel of a dense layer has a path like 'tail/"),
        (["*/mlp/*", "!*"], "adapt no layer"),
        ([], "adapt no layer"),
    ],
)
def test_patterns_that_choose_nothing_are_refused(patterns, said, build):
    model = build()
    before = len(model.trainable_variables)
    with pytest.raises(UserError, match=said):
        LowRankAdapters(patterns=patterns).attach(model)
    assert len(model.trainable_variables) == before


@pytest.mark.parametrize("options", [{"rank": 0}, {"alpha": 0.0}])
def test_rank_and_alpha_are_positive(options):
    with pytest.raises(UserError, match=r"LowRankAdapters\.rank must be at least 1"):
        LowRankAdapters(**options)
