"""What `atmorep-k inspect` prints."""

import pytest
from saved_models import FREEZE, PROVENANCE, edit_config, save_extended

from atmorep_k import components
from atmorep_k.saved.description import describe_model
from atmorep_k.saved.table import (
    coupling_lines,
    frozen_lines,
    frozen_text,
    history_lines,
    print_description,
    share_text,
)


@pytest.fixture(scope="module")
def description(make_model, make_field, tmp_path_factory):
    """Of a frozen model with a new field that has an encoder of its own."""
    path = tmp_path_factory.mktemp("table") / "new.keras"
    save_extended(path, make_model, make_field)
    described = describe_model(path)
    own = {
        "encoder": components.encoders.Encoder(
            num_layers=9, block=components.blocks.TransformerBlock(num_heads=2)
        )
    }
    edit_config(path, parts={"2m_temperature": own})
    described["fields"] = [
        {**field, "components": changed["components"]}
        for field, changed in zip(described["fields"], describe_model(path)["fields"], strict=True)
    ]
    return described


def test_everything_is_printed(description, capsys):
    print_description(description)
    printed = capsys.readouterr().out
    assert printed.isascii() or set(filter(lambda c: not c.isascii(), printed)) <= {"─"}
    lines = printed.splitlines()
    words = [" ".join(line.split()) for line in lines]
    assert f"{description['weights']:,} weights" in words[0]
    for field in description["fields"]:
        row = next(w for w in words if field["fingerprint"][:12] in w)
        assert row.startswith(f"{field['name']} {field['weights']:,} ")
    assert any(w.endswith("from base/model.keras abababababab") for w in words)
    assert any(w.startswith("2m_temperature") and w.endswith("trained here") for w in words)
    assert any("encoder of 2m_temperature Encoder num_layers=9" in w for w in words)
    assert not any("encoder of temperature" in w for w in words)
    assert "vorticity" in printed and "(input only)" in printed
    assert "store: new.zarr" in lines
    assert "sources" not in printed


def test_couplings_are_a_graph(description):
    assert coupling_lines(description)[1:] == [
        "  temperature    ---> vorticity       CrossFieldAttention, heads: 2",
        "                  \\-> 2m_temperature  CrossFieldAttention, heads: 2",
        "  vorticity       attends to no other field",
        "  2m_temperature  attends to no other field",
    ]


def test_who_stands_alone_is_told(description):
    couplings = description["couplings"][:1]
    lines = coupling_lines({**description, "couplings": couplings})
    assert lines[-1].endswith("attends to no other field, no other attends to it")
    assert coupling_lines({**description, "couplings": []}) == []


def test_history_is_a_tree():
    assert history_lines(PROVENANCE) == [
        "made from",
        "  runs/base/model.keras  abababababab  extended: temperature, vorticity, "
        "trained on base.zarr",
        "    wind.keras  cdcdcdcdcdcd  coupled: vorticity, trained on wind.zarr",
    ]
    assert history_lines({"store": "a.zarr"}) == []


def test_shares_are_told_by_role(description):
    old, source, new = description["fields"]
    share = frozen_text(old)
    assert share.startswith("tokenizer, token_info, decoder, tail all; encoder ")
    encoder = old["parts"]["encoder"]
    percent = 100 * encoder["frozen"] / encoder["weights"]
    assert share.endswith(f"{percent:.0f} %")
    assert (frozen_text(source), frozen_text(new)) == ("all", "none")
    assert frozen_lines(description) == [f"frozen: {', '.join(FREEZE)}"]


@pytest.mark.parametrize(
    ("frozen", "text"),
    [(0, "none"), (1, "1 %"), (500, "50 %"), (999, "99 %"), (1000, "all")],
)
def test_a_share_is_all_or_none_only_where_it_is(frozen, text):
    assert share_text(frozen, 1000) == text


def test_what_is_not_known_is_said(description, capsys):
    fields = [{**field, "frozen": None} for field in description["fields"]]
    unknown = {**description, "fields": fields, "frozen_unknown": "there is no class 'Mine'"}
    print_description(unknown)
    printed = capsys.readouterr().out
    assert (
        "is unknown, because the model cannot be built here: there is no class 'Mine'." in printed
    )
    assert {frozen_text(field) for field in fields} == {"?"}
