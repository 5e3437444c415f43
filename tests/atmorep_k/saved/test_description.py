import json
import shutil
from pathlib import Path

import keras
import pytest
from saved_models import FREEZE, edit_config, save_extended

import atmorep_k
from atmorep_k import components
from atmorep_k.errors import UserError
from atmorep_k.model import AtmoRep
from atmorep_k.model.declared import count_parameters
from atmorep_k.saved.description import component_of, describe_model, file_name
from atmorep_k.saved.fingerprints import fingerprints


@pytest.fixture(scope="module")
def saved(make_model, make_field, make_batch, tmp_path_factory):
    """A trained model of two fields, with dropout, in a file; and how many weights it has."""
    couplings = ["2m_temperature"]
    fields = [
        make_field("vorticity", loss_weight=0.5, couplings=couplings),
        make_field("2m_temperature", levels=[0], predicted=False),
    ]
    encoder = components.encoders.Encoder(
        num_layers=1, block=components.blocks.TransformerBlock(num_heads=2, dropout=0.1)
    )
    coupler = components.couplers.CrossFieldAttention(num_heads=2)
    model = make_model(fields, encode="visible", encoder=encoder, coupler=coupler)
    model.build()
    model.compile(optimizer="adam", loss=components.losses.EnsembleMSE())
    model.train_on_batch(*make_batch(fields))
    model.provenance = {"store": "a.zarr", "units": {"vorticity": "s**-1"}}
    path = tmp_path_factory.mktemp("saved") / "model.keras"
    model.save(path)
    return path, count_parameters(model)


@pytest.mark.backend
def test_description(saved, monkeypatch):
    path, count = saved
    monkeypatch.setattr(AtmoRep, "__init__", None)  # it is not built
    found = describe_model(path)
    assert found["weights"] == count
    assert found["bytes"] == path.stat().st_size
    assert found["keras"] == keras.__version__
    assert found["encode"] == "visible"
    assert found["dtype"] == "float32"
    assert found["provenance"]["units"] == {"vorticity": "s**-1"}
    assert sum(f["weights"] for f in found["fields"]) == count
    field = found["fields"][0]
    parts = field.pop("parts")
    assert list(parts) == ["tokenizer", "token_info", "encoder", "decoder", "tail"]
    assert parts["tokenizer"] == {"weights": 8 * 12 + 12, "frozen": 0}
    assert field.pop("weights") == sum(part["weights"] for part in parts.values())
    assert field == {
        "name": "vorticity",
        "levels": [500, 850],
        "token_size": [2, 2, 2],
        "num_tokens": [2, 2, 4],
        "window": {"shape": [4, 4, 8], "step_hours": 1.0},
        "embed_dim": 16,
        "loss_weight": 0.5,
        "normalization": "global",
        "couplings": ["2m_temperature"],
        "predicted": True,
        "frozen": 0,
        "components": {},
        "fingerprint": fingerprints(path)["vorticity"],
        "origin": None,
    }
    coupling = {"field": "vorticity", "attends_to": "2m_temperature"}
    coupling |= {"component": "CrossFieldAttention", "num_heads": 2}
    assert found["couplings"] == [coupling]
    assert (found["freeze"], found["frozen_unknown"]) == ([], None)
    assert found["components"]["coupler"] == {
        "class": "CrossFieldAttention",
        "num_heads": 2,
        "qk_norm": "none",
    }
    encoder = found["components"]["encoder"]
    assert (encoder["class"], encoder["block"]["dropout"]) == ("Encoder", 0.1)
    assert found["components"]["normalizer"] == {"class": "MonthlyNormalizer"}
    json.dumps(found)


def test_a_run_is_described_by_its_model(saved):
    path, _ = saved
    assert describe_model(path.parent) == describe_model(path)


@pytest.fixture(scope="module")
def extended(make_model, make_field, tmp_path_factory):
    """The file of a frozen model with a new field."""
    path = tmp_path_factory.mktemp("extended") / "new.keras"
    save_extended(path, make_model, make_field)
    return path


@pytest.mark.backend
def test_a_frozen_model(extended):
    old, source, new = describe_model(extended)["fields"]
    assert 0 < old["parts"]["encoder"]["frozen"] < old["parts"]["encoder"]["weights"]
    assert old["parts"]["tail"]["frozen"] == old["parts"]["tail"]["weights"]
    assert source["frozen"] == source["weights"]
    assert new["frozen"] == 0
    assert describe_model(extended)["freeze"] == FREEZE


def test_where_fields_come_from(extended):
    old, source, new = describe_model(extended)["fields"]
    assert old["origin"] == {"model": "base/model.keras", "sha256": "ab" * 32, "role": "extended"}
    assert source["origin"] == old["origin"]
    assert new["origin"] is None


def test_a_model_of_the_original_is_told_by_its_run(extended, tmp_path):
    path = shutil.copy(extended, tmp_path / "imported.keras")
    edit_config(path, provenance={"original": {"runs": ["abcd1234"]}})
    assert {str(f["origin"]) for f in describe_model(path)["fields"]} == {"{'runs': ['abcd1234']}"}


def test_components_of_single_fields_stand_with_them(extended, tmp_path):
    path = shutil.copy(extended, tmp_path / "own.keras")
    coupler = components.couplers.CrossFieldAttention(num_heads=1)
    tail = components.tails.LinearEnsemble(num_members=7)
    edit_config(path, parts={"temperature": {"coupler": coupler}, "2m_temperature": {"tail": tail}})
    found = describe_model(path)
    assert [list(f["components"]) for f in found["fields"]] == [["coupler"], [], ["tail"]]
    new = found["fields"][2]
    assert new["components"]["tail"] == {"class": "LinearEnsemble", "num_members": 7}
    assert component_of(found, new, "tail")["num_members"] == 7
    assert component_of(found, found["fields"][0], "tail")["num_members"] == 3
    assert {c["num_heads"] for c in found["couplings"]} == {1}


def test_a_missing_plug_in_leaves_only_the_frozen_weights_unknown(extended, tmp_path):
    path = shutil.copy(extended, tmp_path / "theirs.keras")
    theirs = {"class_name": "TheirTail", "module": "their_package", "config": {"num_members": 2}}
    theirs["registered_name"] = "their_package>TheirTail"
    edit_config(path, tail=theirs)
    found = describe_model(path)
    assert found["components"]["tail"] == {"class": "TheirTail", "num_members": 2}
    assert "TheirTail" in found["frozen_unknown"]
    assert {field["frozen"] for field in found["fields"]} == {None}
    assert found["weights"] == describe_model(extended)["weights"]


def test_a_file_of_a_run_is_named_with_the_run():
    assert file_name(Path("runs/first/model.keras")) == "first/model.keras"
    assert file_name(Path("models/first.keras")) == "first.keras"
    assert file_name(Path("model.keras")) == "model.keras"


@pytest.mark.parametrize("open_it", [describe_model, atmorep_k.load_model])
def test_what_is_no_model_ends_in_one_sentence(open_it, tmp_path):
    with pytest.raises(UserError, match=r"no model at .*absent\.keras"):
        open_it(tmp_path / "absent.keras")
    with pytest.raises(UserError, match=r"no model at .*model\.keras"):
        open_it(tmp_path)
    (tmp_path / "text.keras").write_text("text")
    with pytest.raises(UserError, match=r"text\.keras is not a saved Keras model"):
        open_it(tmp_path / "text.keras")
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(tmp_path / "other.keras")
    with pytest.raises(UserError, match=r"holds a Sequential, not a model of atmorep_k"):
        open_it(tmp_path / "other.keras")
