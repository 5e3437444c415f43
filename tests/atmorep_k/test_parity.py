"""The original's weights in our components: the same activations, members and losses."""

import json
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import ops

from atmorep_k import components
from atmorep_k.fields import FieldSpec, Window
from atmorep_k.model import AtmoRep

FIELD = "vorticity"
_PARTS = ("encoder", "decoder")
WORST = 1e-5  # of an array's largest value; the fixture's own rounding reaches 5e-7


@pytest.fixture(scope="module")
def weights(request):
    """Weights of the original by name, as its file holds them."""
    torch = pytest.importorskip("torch")
    folder = request.getfixturevalue("shared_parity") / "tiny_single" / "idtinysngl"
    state = torch.load(folder / "AtmoRep_idtinysngl.mod", weights_only=True)
    return {name: array.numpy() for name, array in state.items()}


@pytest.fixture(scope="module")
def recorded(request):
    """Inputs and outputs of the original, in its own shapes."""
    folder = request.getfixturevalue("shared_parity") / "tiny_single"
    return SimpleNamespace(
        inputs=dict(np.load(folder / "inputs.npz")),
        outputs=dict(np.load(folder / "outputs.npz")),
        meta=json.loads((folder / "meta.json").read_text()),
    )


def make_model(weights) -> AtmoRep:
    """Returns our model with the original's weights."""
    window = Window((12, 27, 54))
    field = FieldSpec(FIELD, [114, 137], (3, 9, 9), window, embed_dim=64)
    habits = {"output_activation": True, "num_layers": 2, "num_heads": 4}
    model = AtmoRep(
        [field],
        tokenizer=components.tokenizers.CuboidTokenizer(),
        token_info=components.tokenizers.TokenInfo(embed_dim=16, features="raw"),
        position=components.positions.HarmonicPosition(original_rows=True),
        encoder=components.encoders.DenseEncoder(**habits),
        decoder=components.decoders.UNetDecoder(**habits, qk_norm="affine"),
        tail=components.tails.LinearEnsemble(num_members=4),
        normalizer=components.normalizers.MonthlyNormalizer(),
    )
    model.build()
    arrays = [np.zeros(v.shape, "float32") for v in model.trainable_variables]
    for name, (number, select) in places(model).items():
        select(arrays[number])[...] = weights[name]
    for variable, array in zip(model.trainable_variables, arrays, strict=True):
        variable.assign(array)
    return model


def places(model) -> dict:
    """Returns the original's name -> number of our variable, and the view that has its shape."""
    number = {id(v): i for i, v in enumerate(model.trainable_variables)}
    found = {}

    def add(name, variable, select=lambda array: array):
        found[name] = (number[id(variable)], select)

    def linear(name, layer):
        add(f"{name}.weight", layer.kernel, np.transpose)
        if layer.use_bias:
            add(f"{name}.bias", layer.bias)

    def mlp(name, layer):
        linear(f"{name}.blocks.0", layer.widen)
        linear(f"{name}.blocks.3", layer.narrow)

    linear("embeds.0", model.part("tokenizer", FIELD).linear)
    linear("embeds_token_info.0", model.part("token_info", FIELD).net[-1])
    for i, block in enumerate(model.part("encoder", FIELD).blocks):
        linear(f"encoders.0.heads.{i}.proj_heads", block.self_heads.query_key_value)
        linear(f"encoders.0.heads.{i}.proj_out", block.project)
        mlp(f"encoders.0.mlps.{i}", block.mlp)
    for i, block in enumerate(model.part("decoder", FIELD).blocks):
        name = f"decoders.0.blocks.{2 * i}"
        linear(f"{name}.proj_heads", block.self_heads.query_key_value)
        linear(f"{name}.proj_heads_o_q", block.cross.query)
        linear(f"{name}.proj_heads_o_kv", block.cross.key_value)
        linear(f"{name}.proj_out", block.project)
        for short, norm in (("ln_q", block.query_norm), ("ln_k", block.key_norm)):
            add(f"{name}.{short}.weight", norm.gamma)
            add(f"{name}.{short}.bias", norm.beta)
        mlp(f"decoders.0.blocks.{2 * i + 1}", block.mlp)
    tail = model.part("tail", FIELD)
    for m in range(tail.num_members):
        name = f"tails.0.tail_nets.{m}"
        add(f"{name}.0.weight", tail.scale, lambda array, m=m: array[:, m])
        add(f"{name}.0.bias", tail.shift, lambda array, m=m: array[:, m])
        add(f"{name}.1.weight", tail.kernel, lambda array, m=m: array[:, m].T)
        add(f"{name}.1.bias", tail.bias, lambda array, m=m: array[m])
    return found


@pytest.fixture(scope="module")
def model(weights):
    return make_model(weights)


@pytest.fixture(scope="module")
def batch(recorded):
    """The original's batch in our shapes; where samples differ in masks, slots are filled up."""
    arrays, count = recorded.inputs, recorded.inputs[f"masked_count/{FIELD}"]
    source = arrays[f"source/{FIELD}"]
    tokens = source.reshape(*source.shape[:5], -1)
    size, levels, *grid = tokens.shape[:5]
    length, slots = int(np.prod(grid)), int(count.max())
    index = np.empty((size, levels, slots), "int32")
    chosen = np.split(arrays[f"masked_idx/{FIELD}"], np.cumsum(count.ravel())[:-1])
    for number, (level, sample) in enumerate(np.ndindex(count.shape)):
        masked = chosen[number] - length * sample
        others = np.setdiff1d(np.arange(length), masked)
        index[sample, level] = np.concatenate([masked, others])[:slots]
    weight = np.arange(slots) < count.T[..., None]
    info = arrays[f"token_info/{FIELD}"].reshape(size, levels, *grid, 8)
    inputs = {
        f"{FIELD}/tokens": tokens,
        f"{FIELD}/token_info": info.astype("float32"),
        f"{FIELD}/masked_index": index,
    }
    return SimpleNamespace(inputs=inputs, weight=weight)


def _in_original_order(array, weight):
    """Turns (batch, level, masked, ...) into (all masked, ...): level, sample, token."""
    return np.swapaxes(array, 0, 1)[np.swapaxes(weight, 0, 1)]


def _assert_close(ours, theirs):
    ours = np.asarray(ops.convert_to_numpy(ours)).reshape(theirs.shape)
    ratio = np.abs(ours - theirs).max() / np.abs(theirs).max()
    assert ratio < WORST


@pytest.fixture(scope="module")
def activations(model, batch):
    """Embedding, encoder layers and decoder layers of our model."""
    inputs, part = batch.inputs, model.part
    values = part("tokenizer", FIELD)(inputs[f"{FIELD}/tokens"])
    info = part("token_info", FIELD)(inputs[f"{FIELD}/token_info"])
    embedded = part("position", FIELD)(ops.concatenate([values, info], axis=-1))
    x = ops.reshape(embedded, (len(values), -1, 64))
    encoded = part("encoder", FIELD)(x)
    first = part("decoder", FIELD).blocks[0](encoded[-1], encoded[-1])
    return {
        "embed": embedded,
        "encoder/block0": encoded[0],
        "encoder/block1": encoded[1],
        "decoder/block0": first,
        "decoder/block1": part("decoder", FIELD)(encoded[-1], encoded),
    }


@pytest.mark.parametrize("name", ["embed", *(f"{p}/block{i}" for p in _PARTS for i in (0, 1))])
def test_activations(name, activations, recorded):
    part, *block = name.split("/")
    _assert_close(activations[name], recorded.outputs["/".join([part, FIELD, *block])])


def test_members(model, batch, recorded):
    predicted = ops.convert_to_numpy(model(batch.inputs)[FIELD])
    members = _in_original_order(predicted, batch.weight)
    _assert_close(members, recorded.outputs[f"pred/{FIELD}/ensemble"])
    _assert_close(members.mean(axis=1), recorded.outputs[f"pred/{FIELD}/mean"])
    _assert_close(members.std(axis=1, ddof=1), recorded.outputs[f"pred/{FIELD}/std"])


def test_every_weight_of_the_original_has_a_place(model, weights):
    # Stored by the original and not used: a second name of `embeds`, a net for old checkpoints.
    used = {n for n in weights if ".embed." not in n and not n.startswith("embed_token_info")}
    found = places(model)
    assert set(found) == used
    assert {number for number, _ in found.values()} == set(range(len(model.trainable_variables)))


@pytest.fixture(scope="module")
def training_batch(batch, recorded):
    """Inputs, targets and weights."""
    target = np.zeros((*batch.weight.shape, 243), "float32")
    in_order = np.swapaxes(target, 0, 1)
    in_order[np.swapaxes(batch.weight, 0, 1)] = recorded.inputs[f"target/{FIELD}"]
    return batch.inputs, {FIELD: target}, {FIELD: batch.weight.astype("float32")}


ENSEMBLE, STATISTICAL = components.losses.EnsembleMSE(), components.losses.StatisticalLoss()
LOSSES = {
    "mse_ensemble": ENSEMBLE,
    "stats": STATISTICAL,
    "mse_ensemble+stats": components.losses.WeightedSum([ENSEMBLE, STATISTICAL], [1.0, 1.0]),
}


@pytest.mark.parametrize("name", LOSSES)
def test_loss(name, model, training_batch, recorded):
    model.compile(optimizer="sgd", loss=LOSSES[name])
    inputs, target, weight = training_batch
    loss = model.compute_loss(inputs, target, model(inputs), weight)
    expected = recorded.meta["losses"]["total"][name]
    assert float(ops.convert_to_numpy(loss)) == pytest.approx(expected, rel=1e-5)


def test_gradients(weights, training_batch, recorded):
    model = make_model(weights)
    before = model.get_weights()
    # A step of plain descent with rate 1 leaves the gradient as the difference.
    model.compile(optimizer=keras.optimizers.SGD(1.0), loss=LOSSES["mse_ensemble+stats"])
    model.train_on_batch(*training_batch)
    gradients = [old - new for old, new in zip(before, model.get_weights(), strict=True)]
    found = places(model)
    for name, expected in recorded.meta["train_step"]["gradients"].items():
        number, select = found[name]
        gradient = select(gradients[number]).astype("float64")
        # What is absolute is the rounding of weights of about one.
        assert np.linalg.norm(gradient) == pytest.approx(expected["l2"], rel=1e-4, abs=5e-6), name
        assert np.abs(gradient).max() == pytest.approx(expected["max_abs"], rel=1e-4, abs=1e-6)
        assert gradient.sum() == pytest.approx(expected["sum"], abs=1e-4 * expected["l2"] + 2e-5)


def test_a_training_step(weights, training_batch, recorded):
    model = make_model(weights)
    # PyTorch adds epsilon after the correction of the second moment's bias, Keras before.
    optimizer = keras.optimizers.AdamW(1e-3, weight_decay=0.05, epsilon=1e-8 * 0.001**0.5)
    model.compile(optimizer=optimizer, loss=LOSSES["mse_ensemble+stats"])
    losses = [model.train_on_batch(*training_batch, return_dict=True) for _ in range(2)]
    expected = recorded.meta["train_step"]
    assert float(losses[0]["batch_loss"]) == pytest.approx(expected["loss_before"], rel=1e-5)
    assert float(losses[1]["batch_loss"]) == pytest.approx(
        expected["loss_after_one_step"], rel=1e-4
    )
