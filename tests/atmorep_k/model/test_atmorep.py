import keras
import numpy as np
import pytest
from keras import ops

import atmorep_k
from atmorep_k import components
from atmorep_k.backend.installed import versions
from atmorep_k.errors import UserError
from atmorep_k.model.declared import count_parameters
from atmorep_k.model.tokens import token_latitudes, visible_first

pytestmark = pytest.mark.backend

ENCODE = pytest.mark.parametrize("encode", ["all", "visible", "apart"])


@pytest.fixture(autouse=True)
def _same_weights_each_time():
    keras.utils.set_random_seed(0)


@pytest.fixture
def two_fields(make_field):
    return [make_field("vorticity"), make_field("2m_temperature", levels=[0], loss_weight=3.0)]


@pytest.fixture
def built(make_model, randomize):
    """Function that makes, builds and randomizes a model."""

    def make(fields=None, **options):
        model = make_model(fields, **options)
        model.build()
        return randomize(model)

    return make


def numpy(tree):
    return keras.tree.map_structure(ops.convert_to_numpy, tree)


def test_output_shapes(built, two_fields, make_batch):
    inputs, _, _ = make_batch(two_fields, size=3, slots=5)
    outputs = numpy(built(two_fields)(inputs))
    assert {name: a.shape for name, a in outputs.items()} == {
        "vorticity": (3, 2, 5, 3, 8),
        "2m_temperature": (3, 1, 5, 3, 8),
    }


def test_the_first_call_builds(make_model, make_batch):
    model = make_model()
    model(make_batch(model.fields)[0])
    assert model.built
    assert model.count_params() == sum(w.size for w in model.get_weights())


@ENCODE
def test_samples_do_not_see_each_other(encode, built, make_batch):
    model = built(encode=encode)
    inputs, _, _ = make_batch(model.fields, size=3)
    alone = numpy(model({name: a[1:2] for name, a in inputs.items()}))["temperature"]
    together = numpy(model(inputs))["temperature"]
    np.testing.assert_allclose(together[1:2], alone, rtol=0, atol=1e-5)


@ENCODE
def test_slots_in_another_order_are_predicted_in_that_order(encode, built, make_batch):
    model = built(encode=encode)
    inputs, _, _ = make_batch(model.fields, slots=5)
    outputs = numpy(model(inputs))["temperature"]
    order = np.array([3, 0, 4, 1, 2])
    inputs["temperature/masked_index"] = inputs["temperature/masked_index"][..., order]
    permuted = numpy(model(inputs))["temperature"]
    np.testing.assert_allclose(permuted, outputs[:, :, order], rtol=0, atol=1e-5)
    assert np.abs(permuted - outputs).max() > 0.01


class Recording(components.encoders.Encoder):
    """An encoder that keeps what its layers returned."""

    outputs = {}  # noqa: RUF012 (one for all, so that the test finds it)

    def step(self, number, x, others, training=False):
        Recording.outputs[number] = super().step(number, x, others, training)
        return Recording.outputs[number]


@ENCODE
def test_whether_the_encoder_sees_hidden_tokens(encode, built, make_batch):
    model = built(
        encode=encode, encoder=Recording(2, components.blocks.TransformerBlock(num_heads=2))
    )
    inputs, _, _ = make_batch(model.fields, slots=3)
    model(inputs)
    before = numpy([Recording.outputs[number] for number in range(2)])
    tokens = inputs["temperature/tokens"].reshape(2, 2, 16, 8)
    index = inputs["temperature/masked_index"][..., None]
    np.put_along_axis(tokens, index, np.take_along_axis(tokens, index, 2) + 10.0, 2)
    model(inputs)
    after = numpy([Recording.outputs[number] for number in range(2)])
    assert before[0].shape == ((2, 2, 2, 8, 16) if encode == "all" else (2, 2 * 13, 16))
    same = [np.array_equal(one, other) for one, other in zip(before, after, strict=True)]
    assert same == [encode != "all"] * 2


def test_both_ways_to_encode_agree_where_the_encoder_changes_nothing(built, make_batch):
    decoder = components.decoders.UNetDecoder(
        num_layers=2, cross_ratio=0.0, block=components.blocks.TransformerBlock(num_heads=2)
    )
    models = [built(encode=encode, decoder=decoder) for encode in ("all", "visible")]
    models[1].set_weights(models[0].get_weights())
    for model in models:
        for block in model.part("encoder", "temperature").blocks:
            for layer in (block.project, block.mlp.narrow):
                layer.set_weights([np.zeros_like(w) for w in layer.get_weights()])
    inputs, _, _ = make_batch(models[0].fields)
    one, other = (numpy(model(inputs))["temperature"] for model in models)
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)


def test_hidden_tokens_apart_are_decoded_as_among_the_others_if_none_of_them_is_looked_at(
    built, make_batch
):
    decoder = components.decoders.UNetDecoder(
        num_layers=2, cross_ratio=1.0, block=components.blocks.TransformerBlock(num_heads=2)
    )
    models = [built(encode=encode, decoder=decoder) for encode in ("visible", "apart")]
    models[1].set_weights(models[0].get_weights())
    inputs, _, _ = make_batch(models[0].fields)
    one, other = (numpy(model(inputs))["temperature"] for model in models)
    np.testing.assert_allclose(one, other, rtol=0, atol=2e-6)


def test_visible_first_restores_the_order():
    rng = np.random.default_rng(0)
    order = np.argsort(rng.random((3, 2, 16)), axis=-1)
    masked = order[..., :5].astype("int32")
    visible, back = numpy(visible_first(ops.convert_to_tensor(masked), 16))
    expected = [np.concatenate([np.sort(s[0, 5:]), 16 + np.sort(s[1, 5:])]) for s in order]
    np.testing.assert_array_equal(visible, expected)
    both = np.concatenate([visible, back["hidden"]], axis=1)
    restored = np.take_along_axis(both, back["order"], axis=1)
    np.testing.assert_array_equal(restored, np.tile(np.arange(32), (3, 1)))


def test_token_info_is_not_seen_at_the_start(make_model, make_batch, randomize):
    model = make_model()
    inputs, _, _ = make_batch(model.fields)
    before = numpy(model(inputs))["temperature"]
    inputs["temperature/token_info"][..., 2] += 5
    np.testing.assert_array_equal(numpy(model(inputs))["temperature"], before)
    randomize(model)
    later = numpy(model(inputs))["temperature"]
    inputs["temperature/token_info"][..., 2] -= 5
    assert np.abs(numpy(model(inputs))["temperature"] - later).max() > 1e-3


def test_half_precision_still_tells_one_year_from_the_next(built, make_batch):
    model = built(dtype="mixed_bfloat16")
    inputs, _, _ = make_batch(model.fields)
    inputs["temperature/token_info"][..., 0] = 2021  # bfloat16 would round both to 2024
    before = numpy(model(inputs))["temperature"]
    inputs["temperature/token_info"][..., 0] = 2022
    assert np.abs(numpy(model(inputs))["temperature"] - before).max() > 0.0


@pytest.mark.parametrize(
    ("layers", "cross_ratio"), [((1, 3), 0.5), ((2, 2), 0.0), ((2, 2), 1.0), ((3, 1), 0.5)]
)
def test_decoders_of_any_depth_and_share(layers, cross_ratio, built, make_batch):
    encoder = components.encoders.Encoder(
        num_layers=layers[0], block=components.blocks.TransformerBlock(num_heads=2)
    )
    decoder = components.decoders.UNetDecoder(
        num_layers=layers[1],
        cross_ratio=cross_ratio,
        block=components.blocks.TransformerBlock(num_heads=2),
    )
    model = built(encoder=encoder, decoder=decoder)
    outputs = numpy(model(make_batch(model.fields)[0]))["temperature"]
    assert np.all(np.isfinite(outputs))
    assert model.count_params() == count_parameters(model)


def closed_form(values, dim, info, layers, members, head_norms=0, info_inputs=12):
    """Weights of one field, reference: formulas of the original's sizes."""
    embedding = (values + 1) * (dim - info) + (info_inputs + 1) * info
    blocks = 2 * layers * (8 * dim**2 + 3 * dim) + layers * 4 * head_norms
    return embedding + blocks + members * (2 * dim + dim * values + values)


def test_parameters_of_a_small_model(make_model, two_fields):
    one = closed_form(values=8, dim=16, info=4, layers=2, members=3)
    assert count_parameters(make_model()) == one
    assert count_parameters(make_model(two_fields)) == 2 * one
    decoder = components.decoders.UNetDecoder(
        num_layers=2, block=components.blocks.TransformerBlock(num_heads=2, qk_norm="affine")
    )
    affine = closed_form(values=8, dim=16, info=4, layers=2, members=3, head_norms=8)
    assert count_parameters(make_model(decoder=decoder)) == affine


def test_counting_leaves_the_model_alone(make_model, make_batch):
    model = make_model()
    count = count_parameters(model)
    assert not model.built
    model(make_batch(model.fields)[0])
    assert count == model.count_params()
    assert count == sum(int(np.prod(w.shape)) for w in model.trainable_variables)


@pytest.mark.parametrize(
    ("name", "total", "sizes"),
    [
        (
            "velocity_u_2024",
            117_656_336,
            {"values": 972, "dim": 1024, "layers": 6, "head_norms": 64},
        ),
        pytest.param(
            "vorticity_2023",
            679_739_664,
            {"values": 243, "dim": 2048, "layers": 10},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_published_sizes_are_counted_without_allocating(name, total, sizes):
    import resource
    import sys

    from atmorep_k import config

    unused = 8 * 16 + 16  # a net of the original that nothing reads
    form = closed_form(**sizes, info=16, members=16, info_inputs=8)
    task = config.load([f"published/{name}.gin"]).build()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert count_parameters(task.model) == form == total - unused
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown * (1 if sys.platform == "darwin" else 1024) < total  # a quarter of the weights


def test_weights_find_their_field_whatever_the_order(built, two_fields, make_batch, tmp_path):
    fields = [two_fields[0], type(two_fields[0])(**{**vars(two_fields[0]), "name": "divergence"})]
    model, turned = built(fields), built(fields[::-1])
    inputs, _, _ = make_batch(fields)
    expected = numpy(model(inputs))
    assert np.abs(expected["vorticity"] - numpy(turned(inputs))["vorticity"]).max() > 0.01
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")
    for path in tmp_path.iterdir():
        turned = built(fields[::-1])
        turned.load_weights(path)
        outputs = numpy(turned(inputs))
        for name in ("vorticity", "divergence"):
            np.testing.assert_array_equal(outputs[name], expected[name])


def test_token_latitudes_closed_form(make_field):
    field = make_field(token_size=(2, 4, 2), window=(4, 8, 8))
    info = np.zeros((1, 2, *field.num_tokens, 8), "float32")
    info[..., 4], info[..., 7] = 50, 2.5
    info[:, :, :, 1, :, 4] = 60
    masked = np.array([[[0, 15], [4, 1]]], "int32")
    latitudes = numpy(token_latitudes(field, info, masked))
    # The point of index 2 of four rows lies at the centre's latitude; rows run southwards.
    rows = np.array([5.0, 2.5, 0.0, -2.5])
    row = np.tile(np.repeat(rows, 2), 2)
    np.testing.assert_allclose(latitudes[0, 0, 0], 40 + row)
    np.testing.assert_allclose(latitudes[0, 0, 1], 30 + row)
    np.testing.assert_allclose(latitudes[0, 1], np.stack([30 + row, 40 + row]))


def test_token_latitudes_are_those_of_the_store(tiny_store, make_field):
    from atmorep_k.batch import tokenize

    field = make_field(token_size=(2, 2, 4))
    dataset = components.datasets.WindowDataset(str(tiny_store))
    dataset.open([field])
    sample = dataset.window("train", 0, 3, components.maskings.RandomTokens())
    index = sample.inputs["temperature/masked_index"][None]
    info = sample.inputs["temperature/token_info"][None]
    _, latitude, _ = dataset.windows.coordinates(sample.position)
    grid = np.broadcast_to(latitude[:, None], (2, *field.window.shape))
    tokens = tokenize(grid, field.token_size).reshape(1, 2, field.tokens_per_level, -1)
    expected = np.take_along_axis(tokens, index[..., None], 2)
    np.testing.assert_allclose(numpy(token_latitudes(field, info, index)), expected, atol=1e-3)


@pytest.fixture
def compiled(built, two_fields):
    model = built(two_fields)
    model.compile(optimizer="sgd", loss=components.losses.LatitudeWeightedMSE())
    return model


def loss_of(model, inputs, targets, weights):
    return float(numpy(model.compute_loss(inputs, targets, model(inputs), weights)))


def test_loss_is_that_of_the_fields_by_their_weights(compiled, two_fields, make_batch):
    inputs, targets, weights = make_batch(two_fields)
    outputs = compiled(inputs)
    losses = []
    for field in two_fields:
        name = field.name
        index, info = inputs[f"{name}/masked_index"], inputs[f"{name}/token_info"]
        latitude = token_latitudes(field, info, index)
        loss = compiled.objective(targets[name], outputs[name], weights[name], latitude=latitude)
        losses.append(float(numpy(loss)))
    total = loss_of(compiled, inputs, targets, weights)
    assert total == pytest.approx((losses[0] + 3 * losses[1]) / 4, rel=1e-6)
    assert float(numpy(compiled.batch_loss.result())) == pytest.approx(total, rel=1e-7)


def test_loss_ignores_slots_of_weight_zero(compiled, two_fields, make_batch):
    inputs, targets, weights = make_batch(two_fields)
    expected = loss_of(compiled, inputs, targets, weights)
    targets["vorticity"][:, :, -1] = np.nan
    assert loss_of(compiled, inputs, targets, weights) == expected
    targets["vorticity"][:, :, 0] += 1.0
    assert loss_of(compiled, inputs, targets, weights) != expected


def test_training_lowers_the_loss(compiled, two_fields, make_batch):
    batch = make_batch(two_fields)
    losses = [compiled.train_on_batch(*batch, return_dict=True)["batch_loss"] for _ in range(5)]
    assert np.all(np.diff([float(loss) for loss in losses]) < 0)


def test_statistics_and_provenance_survive_saving(built, two_fields, tmp_path):
    model = built(two_fields)
    model.provenance = {"store": "a.zarr", "units": {"vorticity": "s**-1"}}
    rng = np.random.default_rng(0)
    state = {
        "mean": rng.random((12, 2, 3, 4), "float32"),
        "std": rng.random((12, 2, 3, 4), "float32"),
        "latitude": np.array([1.0, 0.0, -1.0]),
        "longitude": np.arange(4.0),
    }
    model.normalizers["vorticity"].load_state(state)
    model.save(tmp_path / "model.keras")
    loaded = atmorep_k.load_model(tmp_path / "model.keras")
    assert loaded.provenance == model.provenance
    assert [repr(f) for f in loaded.fields] == [repr(f) for f in two_fields]
    assert [f.loss_weight for f in loaded.fields] == [1.0, 3.0]
    for name, array in loaded.normalizers["vorticity"].state().items():
        np.testing.assert_array_equal(array, state[name])
    assert not loaded.normalizers["2m_temperature"].is_fitted


def test_a_compiled_model_opens_without_its_optimizer(compiled, two_fields, make_batch, tmp_path):
    inputs, targets, weights = make_batch(two_fields)
    compiled.train_on_batch(inputs, targets, weights)
    compiled.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert getattr(loaded, "optimizer", None) is None
    one, other = numpy(compiled(inputs)), numpy(loaded(inputs))
    np.testing.assert_array_equal(one["vorticity"], other["vorticity"])


def test_dropout_acts_in_training_only(built, make_batch):
    encoder = components.encoders.Encoder(
        num_layers=1, block=components.blocks.TransformerBlock(num_heads=2, dropout=0.5)
    )
    model = built(encoder=encoder)
    inputs, _, _ = make_batch(model.fields)
    quiet = numpy(model(inputs))["temperature"]
    np.testing.assert_array_equal(numpy(model(inputs, training=False))["temperature"], quiet)
    one, other = (numpy(model(inputs, training=True))["temperature"] for _ in range(2))
    assert np.abs(one - quiet).max() > 0.01
    assert np.abs(one - other).max() > 0.01


def test_fields_must_differ_and_share_a_window(make_model, make_field):
    with pytest.raises(UserError, match=r"different fields, not \['temperature', 'temperature'\]"):
        make_model([make_field(), make_field()])
    with pytest.raises(UserError, match="all fields of a model see the same hours"):
        make_model([make_field(), make_field("vorticity", window=(6, 4, 8))])


def test_sizes_that_do_not_fit_end_in_one_sentence(make_model, make_field):
    with pytest.raises(UserError, match="embed_dim 4 must exceed the 4 channels"):
        make_model([make_field(embed_dim=4)]).build()
    with pytest.raises(UserError, match="15 channels are not divisible by 2 heads"):
        make_model([make_field(embed_dim=15)]).build()


def test_versions_tell_the_backend():
    found = versions()
    assert found["backend"] == keras.backend.backend()
    assert found["atmorep_k"] == atmorep_k.__version__
    assert found["keras"] == keras.__version__
