"""A new field on a frozen model: what is old stays as it was."""

import keras
import numpy as np
import pytest

import atmorep_k
from atmorep_k import components
from atmorep_k.backend.weight_paths import path_in_model
from atmorep_k.errors import UserError
from atmorep_k.extension.extended import ExtendedModel
from atmorep_k.fields import FieldSpec

pytestmark = pytest.mark.backend

COUPLER = components.couplers.CrossFieldAttention(num_heads=2)
LOSS = components.losses.EnsembleMSE()


@pytest.fixture
def extend(three_fields, make_field):
    """Function (field, model, ...) -> source and its built, filled and compiled model."""

    def make(field=None, model=three_fields / "vorticity.keras", coupler=COUPLER, **options):
        keras.utils.set_random_seed(3)
        source = ExtendedModel(str(model), field or make_field(), coupler=coupler, **options)
        model = source.architecture
        model.build()
        source.start(model)
        model.compile(optimizer=keras.optimizers.SGD(0.1), loss=LOSS)
        return source, model

    return make


def numpy(values):
    return keras.tree.map_structure(keras.ops.convert_to_numpy, values)


def of(inputs, *names):
    return {key: array for key, array in inputs.items() if key.split("/")[0] in names}


def values(model):
    return {path_in_model(w.path): numpy(w.value) for w in model.weights}


def changed(before, after):
    return {path for path in before if not np.array_equal(before[path], after[path])}


@pytest.mark.parametrize("couple", ["new", "both", "none"])
def test_the_old_field_predicts_what_it_did(couple, extend, three_fields, make_batch):
    _, model = extend(couple=couple)
    inputs, _, _ = make_batch(model.fields)
    old = atmorep_k.load_model(three_fields / "vorticity.keras")
    expected = numpy(old(of(inputs, "vorticity")))["vorticity"]
    predicted = numpy(model(inputs))
    np.testing.assert_array_equal(predicted["vorticity"], expected)
    assert predicted["temperature"].shape == expected.shape


def test_only_what_is_new_is_trained(extend, make_batch):
    _, model = extend()
    before = values(model)
    batch = make_batch(model.fields)
    old = numpy(model(batch[0]))["vorticity"]
    model.train_on_batch(*batch)
    assert changed(before, values(model)) == {path for path in before if "/temperature/" in path}
    np.testing.assert_array_equal(numpy(model(batch[0]))["vorticity"], old)


def test_paths_to_the_old_field_learn_where_it_is_asked(extend, make_batch):
    source, model = extend(couple="both")
    assert source.silenced() == [("vorticity", "temperature")]
    before = values(model)
    batch = make_batch(model.fields)
    for _ in range(2):  # heads learn once their projection has left zero
        model.train_on_batch(*batch)
    moved = {path for path in changed(before, values(model)) if "/vorticity/" in path}
    assert moved == {path for path in before if "/vorticity/" in path and "coupled_" in path}
    assert model.learning == ["vorticity", "temperature"]


def test_the_new_field_reads_the_old_one(extend, make_batch):
    for couple, reads in (("new", True), ("none", False)):
        _, model = extend(couple=couple)
        inputs, _, _ = make_batch(model.fields)
        turned = {**inputs, "vorticity/tokens": inputs["vorticity/tokens"][::-1]}
        one, two = (numpy(model(x))["temperature"] for x in (inputs, turned))
        assert (np.abs(one - two).max() > 1e-4) == reads


def test_a_field_of_other_levels_tokens_and_parts(extend, make_field, make_batch):
    field = make_field(levels=[0], token_size=(4, 2, 4), embed_dim=24, loss_weight=3.0)
    parts = {
        "encoder": components.encoders.Encoder(
            num_layers=3, block=components.blocks.TransformerBlock(num_heads=3)
        ),
        "tail": components.tails.MLPEnsemble(hidden_layers=1, num_members=2),
    }
    source, model = extend(field, parts=parts, couple="both")
    assert source.likeness(model) is None
    inputs, targets, weights = make_batch(model.fields)
    assert numpy(model(inputs))["temperature"].shape[-2:] == (2, 32)
    model.train_on_batch(inputs, targets, weights)


def test_the_new_field_starts_like_an_old_one(extend):
    source, model = extend(like="vo")
    assert source.likeness(model) == "vorticity"
    equal = _equal_to_vorticity(values(model))
    assert {path.split("/")[0] for path in equal} == {"token_info", "encoder", "decoder"}
    everywhere = {p for p in values(model) if "/temperature/" in p and "coupled_" not in p}
    assert equal == {p for p in everywhere if p.split("/")[0] not in ("tokenizer", "tail")}
    source, model = extend(like=None)
    assert source.likeness(model) is None
    kernels = [path for path in _equal_to_vorticity(values(model)) if path.endswith("kernel")]
    assert kernels == ["token_info/temperature/linear/kernel"]  # always starts at zero


def _equal_to_vorticity(found):
    pairs = {p: p.replace("/temperature/", "/vorticity/") for p in found if "/temperature/" in p}
    same = {p for p, other in pairs.items() if np.array_equal(found[p], found.get(other))}
    # Scales and biases are alike in every new layer of their kind.
    return {p for p in same if p.split("/")[0] not in ("tokenizer", "tail")}


@pytest.mark.slow
def test_one_field_after_the_other(extend, make_field, make_batch, three_fields, tmp_path):
    _, model = extend(couple="both")
    batch = make_batch(model.fields)
    model.train_on_batch(*batch)
    model.optimizer = None
    model.save(tmp_path / "two.keras")
    _, three = extend(make_field("divergence"), tmp_path / "two.keras")
    spec = {f.name: f.couplings for f in three.fields}
    assert spec == {
        "vorticity": ("temperature",),
        "temperature": ("vorticity",),
        "divergence": ("vorticity", "temperature"),
    }
    assert three.learning == ["divergence"]
    before = values(three)
    batch = make_batch(three.fields)
    three.train_on_batch(*batch)
    assert all("/divergence/" in path for path in changed(before, values(three)))
    inputs = of(batch[0], "vorticity", "temperature")
    two = atmorep_k.load_model(tmp_path / "two.keras")
    expected, predicted = numpy(two(inputs)), numpy(three(batch[0]))
    for name in ("vorticity", "temperature"):
        np.testing.assert_array_equal(predicted[name], expected[name])
    history = three.provenance["sources"][0]
    assert history["fields"] == ["vorticity", "temperature"]
    assert history["provenance"]["sources"][0]["fields"] == ["vorticity"]


@pytest.mark.slow
def test_visible_encoders_are_extended_too(extend, make_model, make_field, make_batch, tmp_path):
    old = make_model([make_field("vorticity")], encode="visible")
    old.build()
    old.save(tmp_path / "old.keras")
    _, model = extend(model=tmp_path / "old.keras", couple="both")
    batch = make_batch(model.fields)
    expected = numpy(old(of(batch[0], "vorticity")))["vorticity"]
    np.testing.assert_array_equal(numpy(model(batch[0]))["vorticity"], expected)
    before = values(model)
    model.train_on_batch(*batch)
    assert changed(before, values(model))


def test_old_weights_may_be_adapted(extend, make_batch):
    _, model = extend(adapt=["encoder/vorticity/block_1/*"])
    before = values(model)
    model.train_on_batch(*make_batch(model.fields))
    old = {path for path in changed(before, values(model)) if "/vorticity/" in path}
    assert old and all(path.startswith("encoder/vorticity/block_1/") for path in old)


def test_the_summary_says_what_is_run(extend):
    source, model = extend()
    lines = source.summary(model)
    assert [line.split()[0] for line in lines] == [
        "taken",
        "new",
        "new",
        "trained",
        "step",
        "start",
    ]
    assert "vorticity of" in lines[0] and lines[0].endswith("weights, frozen")
    step = "vorticity 1 of 2 encoder layers, no decoder, no tail; temperature wholly"
    assert lines[4] == f"step     {step}"
    trained = sum(int(np.prod(w.shape)) for w in model.trainable_variables)
    assert lines[3] == f"trained  {trained:,} of {model.count_params():,} weights"


def test_the_field_alone_has_the_same_components(extend, make_batch):
    parts = {"tail": components.tails.LinearEnsemble(num_members=7)}
    source, model = extend(parts=parts)
    alone = source.alone()
    alone.build()
    couplings = {path for path in values(model) if "coupled_" in path}
    both = {p: v.shape for p, v in values(model).items() if "/temperature/" in p}
    assert {p: v.shape for p, v in values(alone).items()} == {
        p: shape for p, shape in both.items() if p not in couplings
    }


MISTAKES = {
    "already has the field 'vorticity'": {"field": {"name": "vo"}},
    "'temperature' attends to 'vortisity'; did you mean 'vorticity'": {
        "field": {"couplings": ["vortisity"]}
    },
    "couple = 'none' leaves 'temperature' uncoupled": {
        "field": {"couplings": ["vo"]},
        "couple": "none",
    },
    "coupler must define the new": {"coupler": None},
    "cannot start like 'vorticity'": {"field": {"embed_dim": 32}, "like": "vorticity"},
    "unknown field in ExtendedModel.like 'wind'": {"like": "wind"},
    "unknown role in AtmoRep.parts of 'temperature' 'encodr'": {"parts": {"encodr": COUPLER}},
    "see the same hours": {"field": {"window": (8, 4, 8)}},
    "no weight to freeze has a path like": {"adapt": ["encoder/wind/*"]},
}


@pytest.mark.parametrize("message", MISTAKES)
def test_mistakes(message, extend, make_field):
    options = dict(MISTAKES[message])
    field = make_field(**options.pop("field", {}))
    assert isinstance(field, FieldSpec)
    with pytest.raises(UserError) as caught:
        extend(field, **options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
