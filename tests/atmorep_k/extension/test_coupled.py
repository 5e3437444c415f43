"""Saved models put together: each field predicts at first what it did alone."""

import keras
import numpy as np
import pytest

import atmorep_k
from atmorep_k import components
from atmorep_k.backend.weight_paths import path_in_model
from atmorep_k.errors import UserError
from atmorep_k.extension.coupled import CoupledModel

pytestmark = pytest.mark.backend

COUPLER = components.couplers.CrossFieldAttention(num_heads=2)
NAMES = ("vorticity", "temperature", "divergence")


@pytest.fixture
def assemble(three_fields):
    """Function (names, ...) -> source and its built model, filled."""

    def make(names=NAMES, coupler=COUPLER, **options):
        paths = [str(three_fields / f"{name}.keras") for name in names]
        source = CoupledModel(paths, coupler=coupler, **options)
        keras.utils.set_random_seed(7)
        source.architecture.build()
        source.start(source.architecture)
        return source, source.architecture

    return make


def op_by_op(model, inputs):
    """Returns predictions to whose rounding no compiler contributes: it fuses each network anew."""
    return {n: keras.ops.convert_to_numpy(members) for n, members in model(inputs).items()}


def alone(three_fields, inputs, name, predict=op_by_op):
    own = {key: array for key, array in inputs.items() if key.startswith(f"{name}/")}
    return predict(atmorep_k.load_model(three_fields / f"{name}.keras"), own)[name]


@pytest.mark.parametrize("names", [NAMES, NAMES[::-1]])
def test_each_field_predicts_what_it_did_alone(names, assemble, three_fields, make_batch):
    _, model = assemble(names)
    inputs, _, _ = make_batch(model.fields)
    predicted = op_by_op(model, inputs)
    assert set(predicted) == set(NAMES)
    for name, members in predicted.items():
        np.testing.assert_array_equal(members, alone(three_fields, inputs, name))


def test_compiled_it_does_so_but_for_rounding(assemble, three_fields, make_batch):
    def predict(model, inputs):
        return model.predict_on_batch(inputs)

    _, model = assemble()
    inputs, _, _ = make_batch(model.fields)
    for name, members in predict(model, inputs).items():
        expected = alone(three_fields, inputs, name, predict)
        np.testing.assert_allclose(members, expected, atol=2e-6 * np.abs(expected).max())


def test_the_new_paths_learn_at_once(assemble, make_batch):
    source, model = assemble()
    assert set(source.silenced()) == {(a, b) for a in NAMES for b in NAMES if a != b}
    model.compile(optimizer="sgd", loss=components.losses.EnsembleMSE())
    batch = make_batch(model.fields)
    projections = [w for w in model.weights if path_in_model(w.path).endswith("project/kernel")]
    new = [w for w in projections if "coupled_" in path_in_model(w.path)]
    assert len(new) == 6 * 2
    assert not any(np.any(keras.ops.convert_to_numpy(w)) for w in new)
    model.train_on_batch(*batch)
    assert all(np.any(keras.ops.convert_to_numpy(w)) for w in new)


def test_statistics_come_along(assemble, three_fields):
    _, model = assemble()
    for name in NAMES:
        own = atmorep_k.load_model(three_fields / f"{name}.keras").normalizers[name]
        np.testing.assert_array_equal(model.normalizers[name].mean, own.mean)


def test_couplings_and_weights_as_asked(assemble):
    source, model = assemble(
        couplings={"t": ["vo"]}, loss_weights={"vo": 0.25}, freeze=["*/divergence/*"]
    )
    found = {f.name: (f.couplings, f.loss_weight) for f in model.fields}
    assert found == {
        "vorticity": ((), 0.25),
        "temperature": (("vorticity",), 1.0),
        "divergence": ((), 1.0),
    }
    assert source.silenced() == [("temperature", "vorticity")]
    assert not model.learns("encoder", "divergence")


def test_coupled_models_are_coupled_further(assemble, three_fields, make_batch, tmp_path):
    _, two = assemble(NAMES[:2])
    two.save(tmp_path / "two.keras")
    more = components.couplers.CrossFieldAttention(num_heads=1)
    paths = [str(tmp_path / "two.keras"), str(three_fields / "divergence.keras")]
    source = CoupledModel(paths, coupler=more)
    model = source.architecture
    model.build()
    source.start(model)
    assert ("vorticity", "temperature") not in source.silenced()
    inputs, _, _ = make_batch(model.fields)
    predicted = op_by_op(model, inputs)
    for name in NAMES:
        np.testing.assert_array_equal(predicted[name], alone(three_fields, inputs, name))
    heads = {
        (f.name, other): model.part("encoder", f.name).couplers(other)[0].num_heads
        for f in model.fields
        for other in f.couplings
    }
    # Fields that are coupled keep their kind of coupling.
    assert heads["vorticity", "divergence"] == 2
    assert heads["divergence", "vorticity"] == 1


def test_the_model_remembers_its_sources(assemble, three_fields):
    _, model = assemble(NAMES[:2])
    entries = model.provenance["sources"]
    assert [e["model"] for e in entries] == [
        str(three_fields / f"{name}.keras") for name in NAMES[:2]
    ]
    assert [e["fields"] for e in entries] == [["vorticity"], ["temperature"]]
    assert all(len(e["sha256"]) == 64 and e["role"] == "coupled" for e in entries)
    assert entries[0]["provenance"]["units"] == {"vorticity": "s-1"}


def test_models_of_different_sizes(make_model, make_field, make_batch, three_fields, tmp_path):
    field = make_field("u_component_of_wind", levels=[850], embed_dim=24, token_size=(4, 2, 4))
    encoder = components.encoders.Encoder(
        num_layers=3, block=components.blocks.TransformerBlock(num_heads=3)
    )
    guess = components.first_guesses.TemporalNeighbours()
    other = make_model([field], encoder=encoder, first_guess=guess)
    other.build()
    other.save(tmp_path / "wind.keras")
    paths = [str(three_fields / "vorticity.keras"), str(tmp_path / "wind.keras")]
    source = CoupledModel(paths, coupler=COUPLER)
    model = source.architecture
    assert set(model.templates.parts) == {"u_component_of_wind"}
    assert set(model.templates.parts["u_component_of_wind"]) == {"encoder", "first_guess"}
    assert model.get_config()["parts"].keys() == {"u_component_of_wind"}
    swapped = CoupledModel(paths[::-1], coupler=COUPLER).architecture
    assert swapped.templates.of("first_guess", "vorticity") is None
    again = type(swapped).from_config(swapped.get_config())
    assert again.templates.of("first_guess", "vorticity") is None
    assert again.templates.of("first_guess", "u_component_of_wind") is not None
    model.build()
    source.start(model)
    inputs, _, _ = make_batch(model.fields)
    predicted = op_by_op(model, inputs)
    np.testing.assert_array_equal(predicted["vorticity"], alone(three_fields, inputs, "vorticity"))
    own = {key: array for key, array in inputs.items() if key.startswith("u_component")}
    np.testing.assert_array_equal(
        predicted["u_component_of_wind"], op_by_op(other, own)["u_component_of_wind"]
    )


def test_mistakes(assemble, three_fields, make_model, make_field, tmp_path):
    with pytest.raises(UserError, match=r"CoupledModel\.sources is empty"):
        CoupledModel([])
    with pytest.raises(UserError, match="both have the field 'vorticity'"):
        assemble(("vorticity", "vorticity"))
    with pytest.raises(UserError, match=r"couplings 'vortisity'; did you mean 'vorticity'"):
        assemble(couplings={"vortisity": ["temperature"]})
    with pytest.raises(UserError, match="'vorticity' attends to 'temprature'"):
        assemble(couplings={"vorticity": ["temprature"]})
    with pytest.raises(UserError, match="coupler is not set"):
        assemble(coupler=None)
    with pytest.raises(UserError, match=r"no model at absent\.keras"):
        _ = CoupledModel(["absent.keras"]).architecture
    make_visible = make_model([make_field("u")], encode="visible")
    make_visible.build()
    make_visible.save(tmp_path / "visible.keras")
    paths = [str(three_fields / "vorticity.keras"), str(tmp_path / "visible.keras")]
    with pytest.raises(UserError, match="encode is 'all' in the first and 'visible'"):
        _ = CoupledModel(paths, coupler=COUPLER).architecture
