"""Models whose fields attend to each other."""

import keras
import numpy as np
import pytest
from keras import ops

from atmorep_k import components
from atmorep_k.errors import UserError

pytestmark = pytest.mark.backend

COUPLER = components.couplers.CrossFieldAttention(num_heads=2, qk_norm="keys")
AXIAL = {
    "encoder": components.encoders.Encoder(
        num_layers=2, block=components.blocks.AxialBlock(num_heads=2)
    ),
    "decoder": components.decoders.UNetDecoder(
        num_layers=2, block=components.blocks.AxialBlock(num_heads=2)
    ),
}


@pytest.fixture(autouse=True)
def _same_weights_each_time():
    keras.utils.set_random_seed(0)


@pytest.fixture
def make_fields(make_field):
    """Function (order) -> three fields: w reads from v and T, v from T; T is input only."""

    def make(order="vwt"):
        fields = {
            "v": make_field("vorticity", couplings=["temperature"]),
            "w": make_field(
                "vertical_velocity",
                levels=[700],
                token_size=(2, 4, 4),
                embed_dim=24,
                couplings=["vorticity", "temperature"],
            ),
            "t": make_field("temperature", levels=[500], embed_dim=20, predicted=False),
        }
        return [fields[letter] for letter in order]

    return make


def built(make_model, randomize, fields, **parts):
    model = make_model(fields, coupler=COUPLER, **parts)
    model.build()
    return randomize(model, scale=0.2)


def numpy(tree):
    return keras.tree.map_structure(ops.convert_to_numpy, tree)


def by_path(model):
    """Returns the weights by the path that they have in every model."""
    return {w.path.split("/", 1)[1] if "/" in w.path else w.path: w for w in model.weights}


def copy_weights(source, target):
    values = by_path(source)
    for path, weight in by_path(target).items():
        weight.assign(values[path].numpy())


def changed(model, inputs, field):
    """Returns the fields whose prediction changes with the values of a field."""
    before = model.predict_on_batch(inputs)
    after = model.predict_on_batch({**inputs, f"{field}/tokens": inputs[f"{field}/tokens"][::-1]})
    return {name for name in before if np.abs(after[name] - before[name]).max() > 1e-4}


PARTS = pytest.mark.parametrize("parts", [{}, AXIAL, {"encode": "visible"}])


@PARTS
def test_fields_see_those_they_attend_to(parts, make_model, make_fields, make_batch, randomize):
    fields = make_fields()
    model = built(make_model, randomize, fields, **parts)
    inputs, _, _ = make_batch(fields)
    assert set(model.predict_on_batch(inputs)) == {"vorticity", "vertical_velocity"}
    assert changed(model, inputs, "temperature") == {"vorticity", "vertical_velocity"}
    assert changed(model, inputs, "vorticity") == {"vorticity", "vertical_velocity"}
    assert changed(model, inputs, "vertical_velocity") == {"vertical_velocity"}


@PARTS
def test_the_order_of_fields_changes_nothing(
    parts, make_model, make_fields, make_batch, randomize, tmp_path
):
    model = built(make_model, randomize, make_fields(), **parts)
    turned = built(make_model, randomize, make_fields("twv"), **parts)
    inputs, _, _ = make_batch(make_fields())
    model.save(tmp_path / "model.keras")
    turned.load_weights(tmp_path / "model.keras")
    expected, outputs = model.predict_on_batch(inputs), turned.predict_on_batch(inputs)
    for name, array in expected.items():
        np.testing.assert_array_equal(outputs[name], array)


def test_the_order_of_couplings_changes_nothing(make_model, make_fields, make_batch, randomize):
    fields = make_fields()
    other = type(fields[1]).from_config(
        {**fields[1].get_config(), "couplings": ["temperature", "vorticity"]}
    )
    model = built(make_model, randomize, fields)
    turned = built(make_model, randomize, [fields[0], other, fields[2]])
    copy_weights(model, turned)
    inputs, _, _ = make_batch(fields)
    one, two = (m.predict_on_batch(inputs)["vertical_velocity"] for m in (model, turned))
    np.testing.assert_array_equal(one, two)


def test_a_layer_reads_what_the_others_were_before_it(
    make_model, make_fields, make_batch, randomize
):
    fields = make_fields()
    model = built(make_model, randomize, fields)
    inputs, _, _ = make_batch(fields)
    states = embedded = model.embed(inputs, [f.name for f in fields])
    for number in range(2):
        blocks = {f.name: model.part("encoder", f.name).blocks[number] for f in fields}
        states = {
            f.name: blocks[f.name](states[f.name], others={n: states[n] for n in f.couplings})
            for f in fields
        }
    _, encoded = model.encode_fields(embedded, inputs)
    for name, state in states.items():
        np.testing.assert_allclose(numpy(encoded[name][-1]), numpy(state), atol=1e-6)


def test_training_reaches_all_weights_and_input_only_fields(
    make_model, make_fields, make_batch, randomize
):
    fields = make_fields()
    model = built(make_model, randomize, fields)
    model.compile(optimizer="sgd", loss=components.losses.EnsembleMSE())
    before = [w.numpy() for w in model.trainable_variables]
    model.train_on_batch(*make_batch(fields))
    still = {
        w.path
        for w, old in zip(model.trainable_variables, before, strict=True)
        if np.array_equal(w.numpy(), old)
    }
    # The last block of a field that is not predicted is read by nobody.
    assert all("encoder/temperature/block_1" in path for path in still), still


def test_mistakes(make_model, make_field):
    field = make_field("vorticity", couplings=["temperatur"])
    with pytest.raises(UserError, match="'vorticity' attends to 'temperatur'"):
        make_model([field, make_field()], coupler=COUPLER)
    coupled = make_field("vorticity", couplings=["temperature"])
    with pytest.raises(UserError, match=r"AtmoRep\.coupler is not set"):
        make_model([coupled, make_field()])
    with pytest.raises(UserError, match=r"none of the fields \['temperature'\] is predicted"):
        make_model([make_field(predicted=False)])
    with pytest.raises(UserError, match=r"to each once, not to \['temperature'\]"):
        make_field(couplings=["temperature"])
