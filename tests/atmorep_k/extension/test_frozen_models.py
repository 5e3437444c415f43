"""Models with frozen weights, and fields with components of their own."""

import keras
import numpy as np
import pytest

from atmorep_k import components
from atmorep_k.backend.weight_paths import path_in_model
from atmorep_k.errors import UserError
from atmorep_k.model.declared import count_parameters

pytestmark = pytest.mark.backend

COUPLER = components.couplers.CrossFieldAttention()
OLD = ["*/vorticity/*"]
LOSS = components.losses.EnsembleMSE()


@pytest.fixture
def make_two(make_model, make_field, randomize):
    """Function (...) -> built model of vorticity, and of temperature that attends to it."""

    def make(back=False, **parts):
        fields = [
            make_field("vorticity", couplings=["temperature"] if back else []),
            make_field("temperature", couplings=["vorticity"]),
        ]
        model = make_model(fields, coupler=COUPLER, **parts)
        model.build()
        return randomize(model, scale=0.2)

    return make


def values(model):
    return {path_in_model(w.path): keras.ops.convert_to_numpy(w) for w in model.weights}


def changed(before, after):
    return {path for path in before if not np.array_equal(before[path], after[path])}


def test_a_frozen_weight_stays_and_all_others_move(make_two, make_batch):
    model = make_two(freeze=OLD)
    model.compile(optimizer="sgd", loss=LOSS)
    before = values(model)
    model.train_on_batch(*make_batch(model.fields))
    moved = changed(before, values(model))
    assert moved == {path for path in before if "/vorticity/" not in path}
    assert len(model.trainable_variables) == len(moved)


def test_only_what_learns_is_predicted_in_training(make_two, make_batch):
    model = make_two(freeze=OLD)
    inputs, _, _ = make_batch(model.fields)
    assert set(model(inputs, training=True)) == {"vorticity", "temperature"}
    model.compile(optimizer="sgd", loss=LOSS)
    assert model.learning == ["temperature"]
    calls = []
    for role in ("encoder", "decoder", "tail"):
        part = model.part(role, "vorticity")
        name = "step" if role == "encoder" else "call"
        run = getattr(part, name)
        part_calls = lambda *a, run=run, role=role, **k: (calls.append(role), run(*a, **k))[1]  # noqa: E731
        setattr(part, name, part_calls)
    assert set(model(inputs, training=True)) == {"temperature"}
    assert calls == ["encoder"]  # of two layers the first: layer n reads what was before it
    assert set(model(inputs)) == {"vorticity", "temperature"}


def test_what_a_frozen_field_reads_anew_lets_it_learn(make_two, make_batch):
    model = make_two(back=True, freeze=[*OLD, "!*/vorticity/*coupled_temperature/*"])
    model.compile(optimizer="sgd", loss=LOSS)
    assert model.learning == ["vorticity", "temperature"]
    before = values(model)
    model.train_on_batch(*make_batch(model.fields))
    moved = {path for path in changed(before, values(model)) if "/vorticity/" in path}
    assert moved and all("coupled_temperature" in path for path in moved)


def test_the_loss_is_that_of_the_fields_that_learn(make_two, make_batch):
    model = make_two()
    inputs, targets, weights = batch = make_batch(model.fields)
    single = {
        name: float(keras.ops.convert_to_numpy(LOSS(targets[name], members, weights[name])))
        for name, members in model(inputs).items()
    }
    # Temperature reads vorticity: it changes with it, frozen or not.
    both = sum(single.values()) / 2
    for freeze, expected in {OLD[0]: single["temperature"], "*/temperature/*": both}.items():
        model.set_freeze([freeze])
        model.compile(optimizer="sgd", loss=LOSS)
        loss = model.test_on_batch(*batch, return_dict=True)["loss"]
        assert loss == pytest.approx(expected, rel=1e-5)


def test_dropout_rests_where_nothing_is_trained(make_two, make_batch):
    encoder = components.encoders.Encoder(
        num_layers=2, block=components.blocks.TransformerBlock(num_heads=2, dropout=0.5)
    )
    frozen = ["encoder/*", "token*", "decoder/*"]
    model = make_two(freeze=frozen, encoder=encoder)
    inputs, _, _ = make_batch(model.fields)
    one, two = (model(inputs, training=True)["temperature"] for _ in range(2))
    np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (one, two)))
    model.set_freeze(["decoder/*"])
    one, two = (model(inputs, training=True)["temperature"] for _ in range(2))
    assert np.abs(keras.ops.convert_to_numpy(one - two)).max() > 1e-3


def test_a_saved_model_remembers_what_is_frozen(make_two, tmp_path):
    import atmorep_k

    patterns = [*OLD, "tail/*"]
    model = make_two(freeze=patterns)
    model.save(tmp_path / "model.keras")
    loaded = atmorep_k.load_model(tmp_path / "model.keras")
    assert list(loaded.freeze) == patterns
    assert {path_in_model(w.path) for w in loaded.trainable_variables} == {
        path_in_model(w.path) for w in model.trainable_variables
    }
    assert count_parameters(loaded) == loaded.count_params()


def test_fields_may_have_components_of_their_own(make_two, make_batch, tmp_path):
    import atmorep_k

    parts = {
        "t": {
            "encoder": components.encoders.Encoder(
                num_layers=3, block=components.blocks.TransformerBlock(num_heads=4)
            ),
            "tail": components.tails.LinearEnsemble(num_members=5),
            "coupler": components.couplers.CrossFieldAttention(num_heads=3),
        }
    }
    model = make_two(back=True, parts=parts)
    inputs, targets, weights = make_batch(model.fields)
    members = model.predict_on_batch(inputs)
    assert members["temperature"].shape[-2] == 5
    assert members["vorticity"].shape[-2] == 3
    assert len(model.part("encoder", "temperature").couplers("vorticity")) == 3
    assert model.part("encoder", "temperature").couplers("vorticity")[0].num_heads == 3
    model.compile(optimizer="sgd", loss=LOSS)
    model.train_on_batch(inputs, targets, weights)
    model.save(tmp_path / "model.keras")
    loaded = atmorep_k.load_model(tmp_path / "model.keras")
    for name, expected in model.predict_on_batch(inputs).items():
        np.testing.assert_array_equal(loaded.predict_on_batch(inputs)[name], expected)
    assert count_parameters(model) == model.count_params()


def test_mistakes(make_two, make_model):
    with pytest.raises(UserError, match=r"no weight to freeze has a path like 'encodr/\*'"):
        make_two(freeze=["encodr/*"])
    with pytest.raises(UserError, match="nothing is left to train"):
        make_two(freeze=["*"]).compile(optimizer="sgd", loss=LOSS)
    with pytest.raises(UserError, match=r"unknown field in AtmoRep\.parts 'vortisity'"):
        make_model(parts={"vortisity": {"tail": COUPLER}})
    with pytest.raises(UserError, match="did you mean 'encoder'"):
        make_model(parts={"temperature": {"encode": COUPLER}})
