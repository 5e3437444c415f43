"""Taking a field out again: what is left is as it was, bit for bit."""

import json
import zipfile

import keras
import numpy as np
import pytest

import atmorep_k
from atmorep_k import components
from atmorep_k.errors import UserError
from atmorep_k.extension.coupled import CoupledModel
from atmorep_k.extension.extended import ExtendedModel
from atmorep_k.extension.removal import remove_to_file
from atmorep_k.saved.fingerprints import differences, fingerprints

COUPLER = components.couplers.CrossFieldAttention()


def config(path):
    with zipfile.ZipFile(path) as archive:
        text = archive.read("config.json").decode()
    found = json.loads(text)["config"]
    return {key: found[key] for key in ("fields", "parts", "freeze", "provenance", "coupler")}


@pytest.fixture
def extended(three_fields, make_field, make_batch, tmp_path):
    """Function (couple) -> path of vorticity extended by temperature, trained a step."""

    def make(couple):
        source = ExtendedModel(
            str(three_fields / "vorticity.keras"), make_field(), couple, coupler=COUPLER
        )
        model = source.architecture
        model.build()
        source.start(model)
        model.compile(optimizer="sgd", loss=components.losses.EnsembleMSE())
        model.train_on_batch(*make_batch(model.fields))
        model.optimizer = None
        model.save(tmp_path / "two.keras")
        return tmp_path / "two.keras"

    return make


@pytest.mark.parametrize("couple", [pytest.param("new", marks=pytest.mark.slow), "both"])
def test_an_added_field_leaves_no_trace(couple, extended, three_fields, tmp_path):
    path, old, back = extended(couple), three_fields / "vorticity.keras", tmp_path / "back.keras"
    lines = remove_to_file(path, "t", back)
    assert lines[0].startswith("removed  temperature: ")
    assert fingerprints(back) == fingerprints(old)
    assert differences(old, back, ["vorticity"]) == differences(back, old, ["vorticity"]) == []
    assert config(back) == config(old)
    reads = [line for line in lines if "now predict without it" in line]
    assert bool(reads) == (couple == "both")


def test_any_field_of_a_coupled_model(three_fields, make_batch, tmp_path, randomize):
    names = ("vorticity", "temperature", "divergence")
    paths = [str(three_fields / f"{name}.keras") for name in names]
    source = CoupledModel(paths, coupler=COUPLER, freeze=["*/divergence/*", "tail/vorticity/*"])
    model = source.architecture
    model.build()
    source.start(model)
    model.save(tmp_path / "three.keras")
    remove_to_file(tmp_path / "three.keras", "divergence", tmp_path / "two.keras")
    two = atmorep_k.load_model(tmp_path / "two.keras")
    assert {f.name: f.couplings for f in two.fields} == {
        "vorticity": ("temperature",),
        "temperature": ("vorticity",),
    }
    assert two.freeze == ("tail/vorticity/*",)
    (entry,) = two.provenance["sources"]
    assert (entry["role"], entry["fields"]) == ("reduced", list(names))
    inputs, _, _ = make_batch(two.fields)
    for name, members in two(inputs).items():
        own = {key: array for key, array in inputs.items() if key.startswith(name)}
        expected = atmorep_k.load_model(three_fields / f"{name}.keras")(own)[name]
        np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (members, expected)))


def test_mistakes(three_fields, tmp_path):
    path, output = three_fields / "vorticity.keras", tmp_path / "out.keras"
    with pytest.raises(UserError, match="did you mean 'vorticity'"):
        remove_to_file(path, "vortisity", output)
    with pytest.raises(UserError, match="nothing would be left"):
        remove_to_file(path, "vorticity", output)
    with pytest.raises(UserError, match=r"the name must end in \.keras"):
        remove_to_file(path, "vorticity", tmp_path / "out.h5")
    with pytest.raises(UserError, match="already exists; give another name"):
        remove_to_file(path, "vorticity", path)
    assert not output.exists()
