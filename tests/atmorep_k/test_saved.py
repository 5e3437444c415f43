import json

import keras
import pytest

from atmorep_k import components
from atmorep_k.errors import UserError
from atmorep_k.model import AtmoRep, count_parameters
from atmorep_k.saved import describe, table


@pytest.fixture(scope="module")
def saved(make_model, make_field, make_batch, tmp_path_factory):
    """A trained model of two fields, with dropout, in a file; and how many weights it has."""
    couplings = ["2m_temperature"]
    fields = [
        make_field("vorticity", loss_weight=0.5, couplings=couplings),
        make_field("2m_temperature", levels=[0], predicted=False),
    ]
    encoder = components.encoders.DenseEncoder(num_layers=1, num_heads=2, dropout=0.1)
    coupler = components.couplers.CrossFieldAttention(num_heads=2)
    model = make_model(fields, encode="visible", encoder=encoder, coupler=coupler)
    model.build()
    model.compile(optimizer="adam", loss=components.losses.EnsembleMSE())
    model.train_on_batch(*make_batch(fields))
    model.provenance = {"store": "a.zarr", "units": {"vorticity": "s**-1"}}
    path = tmp_path_factory.mktemp("saved") / "model.keras"
    model.save(path)
    return path, count_parameters(model)


def test_description(saved, monkeypatch):
    path, count = saved
    monkeypatch.setattr(AtmoRep, "__init__", None)  # it is not built
    found = describe(path)
    assert found["weights"] == count
    assert found["bytes"] == path.stat().st_size
    assert found["keras"] == keras.__version__
    assert found["encode"] == "visible"
    assert found["dtype"] == "float32"
    assert found["provenance"]["units"] == {"vorticity": "s**-1"}
    assert found["fields"][0] == {
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
    }
    assert found["components"]["coupler"] == {
        "class": "CrossFieldAttention",
        "num_heads": 2,
        "qk_norm": "none",
    }
    encoder = found["components"]["encoder"]
    assert (encoder["class"], encoder["dropout"]) == ("DenseEncoder", 0.1)
    assert found["components"]["normalizer"] == {"class": "MonthlyNormalizer"}
    json.dumps(found)


def test_a_run_is_described_by_its_model(saved):
    path, _ = saved
    assert describe(path.parent) == describe(path)


def test_table(saved, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    path, count = saved
    table(describe(path))
    printed = " ".join(capsys.readouterr().out.split())
    assert f"{count:,} weights" in printed
    for word in (
        "vorticity",
        "500, 850",
        "2 x 2 x 4",
        "DenseEncoder",
        "CrossFieldAttention",
        "(input only)",
        "vorticity attends to 2m_temperature",
        "store: a.zarr",
    ):
        assert word in printed


def test_what_is_no_model_ends_in_one_sentence(tmp_path):
    with pytest.raises(UserError, match=r"there is no model at .*absent\.keras"):
        describe(tmp_path / "absent.keras")
    with pytest.raises(UserError, match=r"there is no model at .*model\.keras"):
        describe(tmp_path)
    (tmp_path / "text.keras").write_text("text")
    with pytest.raises(UserError, match=r"text\.keras is no saved Keras model"):
        describe(tmp_path / "text.keras")
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(tmp_path / "other.keras")
    with pytest.raises(UserError, match=r"holds a Sequential, not a model of atmorep_k"):
        describe(tmp_path / "other.keras")
