"""Damaged files and settings end in one sentence, and nothing is written."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from atmorep_k.cli import main

torch = pytest.importorskip("torch")
RUN = "abcd1234"


@pytest.fixture
def folder(original, write_run, tmp_path):
    """A run of one field."""
    network = original.Original(original.options([original.field("velocity_u")]))
    return write_run(tmp_path / f"id{RUN}", network)


@pytest.fixture
def refused(folder):
    """Function (arguments) -> the sentence that the command ends in."""

    def refuse(*arguments):
        before = set(folder.parent.iterdir())
        output = folder.parent / "model.keras"
        arguments = [str(a) for a in arguments or (folder,)]
        result = CliRunner().invoke(
            main, ["import-checkpoint", *arguments, "--output", str(output)]
        )
        assert result.exit_code == 1, result.output
        assert set(folder.parent.iterdir()) == before
        sentences = result.output.strip()
        assert sentences.startswith("Error: ")
        assert "\n" not in sentences
        return sentences

    return refuse


def change(folder, edit):
    """Edits the state dict of a run."""
    path = folder / f"AtmoRep_id{RUN}.mod"
    state = torch.load(path, weights_only=True)
    edit(state)
    torch.save(state, path)


def configure(folder, **changes):
    path = folder / f"model_id{RUN}.json"
    values = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({k: v for k, v in values.items() if v is not None}))


def test_a_weight_file_that_is_cut_short(folder, refused):
    path = folder / f"AtmoRep_id{RUN}.mod"
    whole = path.read_bytes()
    for share in (0.999, 0.5, 0.01):
        path.write_bytes(whole[: int(share * len(whole))])
        assert "cannot be read and may be truncated" in refused()
    path.write_bytes(b"")
    assert "(0 bytes) cannot be read and may be truncated" in refused()


def test_a_key_that_is_renamed(folder, refused):
    change(folder, lambda s: s.update({"encoders.0.head.0.proj_out": s.pop("embeds.0.weight")}))
    # The embedding has a second name in the file, so nothing lacks; but a key is too many.
    assert "holds 'encoders.0.head.0.proj_out', which no part of the model" in refused()
    change(folder, lambda s: s.update({"tails.0.net.0": s.pop("tails.0.tail_nets.0.1.bias")}))
    sentence = refused()
    assert "the weights lack 'tails.0.tail_nets.0.1.bias', which the settings" in sentence
    assert "did you mean 'tails.0.net.0'?" in sentence


def test_a_shape_that_differs(folder, refused):
    key = "decoders.0.blocks.0.proj_out.weight"
    change(folder, lambda s: s.update({key: s[key][:, :-1]}))
    assert f"{key!r} has shape (24, 23), but the settings" in refused()
    change(folder, lambda s: s.update({key: torch.zeros(24, 25)}))
    assert "ask for (24, 24)." in refused()


def test_an_unknown_attention_type(folder, refused):
    configure(folder, encoder_att_type="axail")
    sentence = refused()
    assert "encoder_att_type 'axail' is not an attention type; did you mean 'axial'?" in sentence
    assert "Allowed: dense, axial, axial_parallel." in sentence


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([torch.zeros(3)], "should hold weights by name, not a list"),
        (torch.zeros(3), "should hold weights by name, not a Tensor"),
        ({"epoch": 3}, "should hold weights by name, not a dict"),
        ({}, "should hold weights by name, not a dict"),
        (torch.nn.Linear(2, 2), "holds Python objects other than weights"),
        (np.zeros(3), "holds Python objects other than weights"),
    ],
)
def test_a_pickle_that_is_no_state_dict(content, words, folder, refused):
    torch.save(content, folder / f"AtmoRep_id{RUN}.mod")
    assert words in refused()


def test_a_second_name_with_other_values(folder, refused):
    change(folder, lambda s: s["encoders.0.embed.bias"].add_(1))
    assert "'embeds.0.bias' and 'encoders.0.embed.bias' are one weight" in refused()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"fields": None}, "has no 'fields'"),
        ({"fields": [["velocity_u", [1, 24, []]]]}, "a field must be [name, "),
        ({"fields": 3}, "'fields' must be a list of lists, not 3"),
        ({"encoder_num_heads": None}, "has no option 'encoder_num_heads'"),
        ({"encoder_num_heads": "3"}, "'encoder_num_heads' must be a whole number, not '3'"),
        ({"with_layernorm": 1}, "'with_layernorm' must be true or false, not 1"),
        ({"encoder_num_heads": 5}, "24 channels are not divisible by 5 heads"),
        ({"size_token_info": 6}, "size_token_info is 6"),
        ({"learnable_mask": True}, "learnable_mask is true"),
        ({"decoder_cross_att_rate": 3.0}, "looks beyond the 2 layers of the encoder"),
        ({"fields_prediction": [["velocity_v", 1.0]]}, "names 'velocity_v', which must be one of"),
        ({"encoder_num_layers": 3}, "the weights lack 'encoders.0.heads.2"),
        ({"encoder_num_layers": 1, "decoder_num_layers": 1}, "which no part of the model of"),
        ({"net_tail_num_nets": 2}, "holds 'tails.0.tail_nets.2.0.bias' and 3 more"),
    ],
)
def test_settings_that_describe_no_model(changes, words, folder, refused):
    configure(folder, **changes)
    assert words in refused()


def test_couplings_to_nowhere_and_windows_that_differ(folder, refused, original):
    other = original.field("velocity_v", size=(2, 2, 4))
    configure(folder, fields=[original.field("velocity_u", ["velocity_w"])])
    assert "field 'velocity_u' is coupled to 'velocity_w', which must be one of" in refused()
    configure(folder, fields=[original.field("velocity_u"), other])
    assert (
        "'velocity_u' sees (4, 6, 8) points (time, lat, lon), 'velocity_v' (4, 6, 16)" in refused()
    )
    configure(folder, fields=[original.field("velocity_u")] * 2)
    assert "are not all different" in refused()


def test_files_that_are_missing(folder, refused):
    assert f"{folder.parent / 'idabcd'} does not exist; did you mean" in refused(
        folder.parent / "idabcd"
    )
    odd = folder / "weights.mod"
    odd.write_bytes(b"")
    assert "weights.mod is not named like the weights of a whole model" in refused(odd)
    path = folder / f"model_id{RUN}.json"
    text = path.read_text()
    path.write_text(text[:50])
    assert "is not a JSON file" in refused()
    path.unlink()
    assert "must hold one file model_id<run>.json; found: none." in refused()
    path.write_text(text)
    (folder / f"AtmoRep_id{RUN}.mod").unlink()
    sentence = refused()
    assert f"there is neither AtmoRep_id{RUN}.mod nor, for the field 'velocity_u', " in sentence


def test_outputs_that_cannot_be(folder, original, tmp_path):
    def run(output, *more):
        arguments = ["import-checkpoint", str(folder), "--output", str(output), *more]
        result = CliRunner().invoke(main, arguments)
        return result.exit_code, result.output

    assert "must end in .keras" in run(tmp_path / "model.h5")[1]
    assert "does not exist." in run(tmp_path / "nowhere" / "model.keras")[1]
    output = tmp_path / "model.keras"
    output.write_text("mine")
    code, text = run(output)
    assert code == 1
    assert "already exists; give another name or --overwrite." in text
    assert output.read_text() == "mine"
    assert run(output, "--overwrite")[0] == 0


def test_without_torch(folder, refused, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    sentence = refused()
    assert (
        "PyTorch, which reads the original's files, is not installed: run  pip install" in sentence
    )
