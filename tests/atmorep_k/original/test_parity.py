"""Every set of files that the original wrote: the same activations, members, losses, gradients."""

import functools
import json
import os
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import ops

from atmorep_k import components
from atmorep_k.earth.variables import canonical_name
from atmorep_k.original.checkpoint import open_run
from atmorep_k.original.importing import find_layout, import_checkpoint
from atmorep_k.original.pieces import original_arrays, pieces
from atmorep_k.original.runs import one_source

pytestmark = pytest.mark.backend

WORST = 1e-5  # of an array's largest value; the fixtures' own rounding reaches 5e-7
_SHARED = Path(os.environ.get("ATMOREP_K_SHARED", Path(__file__).parents[4] / "shared"))
SETS = sorted(path.parent for path in (_SHARED / "parity").glob("*/outputs.npz"))

if not SETS:
    pytest.skip("the original's files are not beside the repository", allow_module_level=True)
pytest.importorskip("torch")

_loss = components.losses
LOSSES = {
    "mse": _loss.MeanMSE(),
    "mse_ensemble": _loss.EnsembleMSE(),
    "stats": _loss.StatisticalLoss(),
    "stats_area": _loss.StatisticalAreaLoss(),
    "crps": _loss.GaussianCRPS(original_constants=True),
    "kernel_crps": _loss.KernelCRPS(),
    "weighted_mse": _loss.LatitudeWeightedMSE(),
}


def _tiers(path):
    return [] if path.name == "tiny_single" else [pytest.mark.slow]


@pytest.fixture(
    scope="module", params=[pytest.param(path, id=path.name, marks=_tiers(path)) for path in SETS]
)
def case(request):
    """A set: its model, its batch in our shapes and in theirs, what was recorded."""
    folder = request.param
    meta = json.loads((folder / "meta.json").read_text())
    source = folder / f"id{meta['id']}"
    model, report = import_checkpoint([source])
    case = SimpleNamespace(
        folder=folder,
        source=source,
        meta=meta,
        model=model,
        report=report,
        inputs=dict(np.load(folder / "inputs.npz")),
        outputs=dict(np.load(folder / "outputs.npz")),
        names={canonical_name(f.name): f.name for f in open_run(source).settings.fields},
        seen={},
    )
    case.batch = _batch(case)
    return case


def _batch(case):
    """The original's batch in our shapes; where samples differ in masks, slots are filled up."""
    inputs, targets, weights = {}, {}, {}
    for field in case.model.fields:
        theirs, name = case.names[field.name], field.name
        source = case.inputs[f"source/{theirs}"]
        size, levels, *grid = source.shape[:5]
        inputs[f"{name}/tokens"] = source.reshape(size, levels, *grid, -1)
        info = case.inputs[f"token_info/{theirs}"].reshape(size, levels, *grid, 8)
        inputs[f"{name}/token_info"] = info.astype("float32")
        if field.predicted:
            index, weight = _slots(case, theirs, int(np.prod(grid)))
            target = np.zeros((*weight.shape, field.token_values), "float32")
            _theirs(target, weight, case.inputs[f"target/{theirs}"])
            inputs[f"{name}/masked_index"] = index
            targets[name], weights[name] = target, weight.astype("float32")
    return inputs, targets, weights


def _slots(case, name, length):
    count = case.inputs[f"masked_count/{name}"]
    index = np.empty((count.shape[1], count.shape[0], int(count.max())), "int32")
    chosen = np.split(case.inputs[f"masked_idx/{name}"], np.cumsum(count.ravel())[:-1])
    for number, (level, sample) in enumerate(np.ndindex(count.shape)):
        masked = chosen[number] - length * sample
        others = np.setdiff1d(np.arange(length), masked)
        index[sample, level] = np.concatenate([masked, others])[: index.shape[-1]]
    return index, np.arange(index.shape[-1]) < count.T[..., None]


def _theirs(array, weight, values=None):
    """Turns (batch, level, masked, ...) into (level, sample, token in a row, ...), or sets it."""
    chosen = np.swapaxes(weight, 0, 1).astype(bool)
    if values is None:
        return np.swapaxes(array, 0, 1)[chosen]
    np.swapaxes(array, 0, 1)[chosen] = values
    return None


def _numpy(tree):
    return keras.tree.map_structure(ops.convert_to_numpy, tree)


def _assert_close(case, key, ours):
    theirs = case.outputs[key]
    ours = np.asarray(ops.convert_to_numpy(ours)).reshape(theirs.shape)
    largest = np.abs(theirs).max()
    error = np.abs(ours - theirs).max()
    case.seen[key] = error / largest
    assert error <= WORST * largest, key


def test_every_weight_is_accounted_for(case):
    state = open_run(case.source).state
    assert {f.key for f in case.report.fates} == set(state)
    assert not case.report.of("new")
    assert case.meta["num_parameters"] == sum(
        int(np.prod(a.shape)) for k, a in state.items() if ".embed." not in k
    )
    assert case.model.count_params() == sum(int(np.prod(f.shape)) for f in case.report.of("taken"))


def test_activations(case):
    model, (inputs, _, weights) = case.model, case.batch
    states = {f.name: model.networks[f.name].embed(inputs) for f in model.fields}
    for name, state in states.items():
        _assert_close(case, f"embed/{case.names[name]}", state)
    encoded = {name: [] for name in states}
    for number in range(model.templates["encoder"].num_layers):
        before = states
        states = {}
        for field in model.fields:
            block = model.part("encoder", field.name).blocks[number]
            others = {name: before[name] for name in field.couplings}
            place = f"encoder/{case.names[field.name]}/block{number}"
            attended = block.attend(before[field.name], others=others)
            _assert_close(case, f"{place}_att", attended)
            states[field.name] = block.mlp(attended)
            _assert_close(case, place, states[field.name])
            encoded[field.name].append(states[field.name])
    for field in model.predicted:
        decoder, x = model.part("decoder", field.name), states[field.name]
        for number, block in enumerate(decoder.blocks):
            x, context = decoder.inputs_of(number, x, encoded[field.name])
            place = f"decoder/{case.names[field.name]}/block{number}"
            attended = block.attend(x, context)
            _assert_close(case, f"{place}_att", attended)
            x = block.mlp(attended)
            _assert_close(case, place, x)
        index = inputs[f"{field.name}/masked_index"][..., None]
        flat = ops.reshape(x, (len(index), len(field.levels), -1, field.embed_dim))
        tail_in = _numpy(ops.take_along_axis(flat, index, axis=2))
        _assert_close(
            case, f"tail_in/{case.names[field.name]}", _theirs(tail_in, weights[field.name])
        )


def test_members(case):
    inputs, _, weights = case.batch
    for name, predicted in _numpy(case.model(inputs)).items():
        members, place = _theirs(predicted, weights[name]), f"pred/{case.names[name]}"
        _assert_close(case, f"{place}/ensemble", members)
        _assert_close(case, f"{place}/mean", members.mean(axis=1))
        ddof = min(1, members.shape[1] - 1)
        spread = members.std(axis=1, ddof=ddof)
        if np.any(case.outputs[f"{place}/std"]):
            _assert_close(case, f"{place}/std", spread)
        else:
            assert not np.any(spread)


def test_no_recorded_output_is_left_out(case):
    """Runs after the two above, and states the worst error beside the original's own rounding."""
    test_activations(case), test_members(case)
    stds = {k for k in case.outputs if k.endswith("/std") and not np.any(case.outputs[k])}
    assert set(case.seen) == set(case.outputs) - stds
    rounding = case.meta["rounding"]
    worst = max(case.seen, key=case.seen.get)
    own = rounding[worst]["max_abs_diff_float64"] / rounding[worst]["max_abs_value"]
    print(
        f"\n{case.folder.name} on {keras.backend.backend()}: worst error {case.seen[worst]:.1e} of "
        f"the largest value ({worst}), {case.seen[worst] / own:.1f} times the original's rounding"
    )


def _latitude(case, name):
    """Latitudes whose cosines are the weights that the original took."""
    theirs, field = case.names[name], next(f for f in case.model.fields if f.name == name)
    cosine = case.inputs[f"lat_weight/{theirs}"].astype("float64")
    latitude = np.degrees(np.arccos(cosine))[:, None, :, None]
    return np.broadcast_to(latitude, (len(cosine), *field.token_size)).reshape(len(cosine), -1)


def _loss_names(case):
    several = case.model.templates["tail"].num_members > 1
    return [name for name in LOSSES if several or name.startswith(("mse", "weighted"))]


def test_losses_of_each_field(case):
    recorded, (inputs, _, weights) = case.meta["losses"], case.batch
    predictions = _numpy(case.model(inputs))
    for number, theirs in enumerate(recorded["fields"]):
        name = canonical_name(theirs)
        members = _theirs(predictions[name], weights[name])[None, None]
        target = case.inputs[f"target/{theirs}"][None, None]
        latitude = _latitude(case, name)[None, None].astype("float32")
        for loss in _loss_names(case):
            ours = float(ops.convert_to_numpy(LOSSES[loss](target, members, latitude=latitude)))
            assert ours == pytest.approx(recorded["per_field"][loss][number], rel=WORST), loss


def test_total_losses(case):
    recorded, (inputs, targets, weights) = case.meta["losses"], case.batch
    for name in _loss_names(case):
        if name != "weighted_mse":  # its table of latitudes is wrong for this grid
            case.model.compile(optimizer="sgd", loss=LOSSES[name])
            loss = case.model.compute_loss(inputs, targets, case.model(inputs), weights)
            expected = recorded["total"][name]
            assert float(ops.convert_to_numpy(loss)) == pytest.approx(expected, rel=WORST), name


def _fresh(case):
    if case.model.templates["tail"].num_members == 1:
        pytest.skip("with one net in the tail all gradients of the original's loss are NaN")
    model, _ = import_checkpoint([case.source])
    train_step = case.meta["train_step"]
    parts = [LOSSES[name] for name in train_step["losses"]]
    return model, components.losses.WeightedSum(parts, [1.0] * len(parts)), train_step


def test_gradients(case):
    model, loss, train_step = _fresh(case)
    before = {id(v): v.numpy() for v in model.trainable_variables}
    # A step of plain descent with rate 1 leaves the gradient as the difference.
    model.compile(optimizer=keras.optimizers.SGD(1.0), loss=loss)
    model.train_on_batch(*case.batch)
    source = one_source([open_run(case.source)])
    found = pieces(model, source.settings, find_layout(source))
    gradients = dict(original_arrays(found, lambda v: before[id(v)] - v.numpy()))
    recorded = train_step["gradients"]
    compared = set(gradients) - set(train_step["zero_gradients"])
    assert compared <= set(recorded)
    for name in sorted(compared):
        gradient, expected = gradients[name].astype("float64"), recorded[name]
        # What is absolute is the rounding of weights of about one.
        assert np.linalg.norm(gradient) == pytest.approx(expected["l2"], rel=1e-4, abs=5e-6), name
        assert np.abs(gradient).max() == pytest.approx(expected["max_abs"], rel=1e-4, abs=1e-6)
        assert gradient.sum() == pytest.approx(expected["sum"], abs=1e-4 * expected["l2"] + 2e-5)


def test_a_training_step(case):
    model, loss, train_step = _fresh(case)
    # PyTorch adds epsilon after the correction of the second moment's bias, Keras before.
    optimizer = keras.optimizers.AdamW(1e-3, weight_decay=0.05, epsilon=1e-8 * 0.001**0.5)
    model.compile(optimizer=optimizer, loss=loss)
    step = functools.partial(model.train_on_batch, *case.batch, return_dict=True)
    losses = [float(step()["batch_loss"]) for _ in range(2)]
    assert losses[0] == pytest.approx(train_step["loss_before"], rel=WORST)
    assert losses[1] == pytest.approx(train_step["loss_after_one_step"], rel=1e-4)
