"""The command that imports, and the way back into the original's files."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from keras import ops

import atmorep_k
from atmorep_k import components
from atmorep_k.cli import main
from atmorep_k.errors import UserError
from atmorep_k.original.importing import import_checkpoint
from atmorep_k.original.writing import export_checkpoint, import_to_file

torch = pytest.importorskip("torch")
U, V, T = "velocity_u", "velocity_v", "temperature"
AXIAL = {
    "encoder_num_heads": 4,
    "coupling_num_heads_per_field": 2,
    "encoder_att_type": "axial_parallel",
    "decoder_att_type": "axial_parallel",
}


def fields(original):
    return [
        original.field(U, [V, T]),
        [*original.field(V, [T]), "local"],
        original.field(T, [U], tokens=(2, 1, 2), size=(2, 6, 4), dim=36),
    ]


def test_the_command(original, write_run, inputs_of, tmp_path):
    network = original.Original(original.options(fields(original)))
    folder, output = write_run(tmp_path / "run", network), tmp_path / "model.keras"
    result = CliRunner().invoke(main, ["import-checkpoint", str(folder), "--output", str(output)])
    assert result.exit_code == 0, result.output
    taken = sum(a.size for k, a in network.state.items() if "embed." not in k)
    taken -= sum(network.state[f"embed_token_info.{w}"].size for w in ("weight", "bias"))
    assert f"taken    {taken:,} weights" in result.output
    assert result.output.rstrip().endswith(str(output))
    rows = (tmp_path / "model.weights.tsv").read_text().splitlines()
    assert {row.split("\t")[1] for row in rows[1:]} == set(network.state)
    model = atmorep_k.load_model(output)
    assert model.provenance["original"]["runs"] == ["abcd1234"]
    assert [f.normalization for f in model.fields] == ["global", "grid_point", "global"]
    inputs, *theirs = inputs_of(model, network.names)
    for name, expected in network.members(*theirs).items():
        index = network.names.index(name)
        ours = ops.convert_to_numpy(model(inputs)[model.fields[index].name])
        assert np.abs(ours - expected).max() < 2e-5 * np.abs(expected).max()


def test_statistics_of_a_store_go_into_the_model(original, write_run, tiny_store, tmp_path):
    entry = original.field(T, (), (500, 850), tokens=(2, 2, 2), size=(2, 2, 4))
    network = original.Original(original.options([entry]))
    folder, output = write_run(tmp_path / "run", network), tmp_path / "model.keras"
    arguments = [str(folder), "--output", str(output), "--statistics", str(tiny_store)]
    result = CliRunner().invoke(main, ["import-checkpoint", *arguments])
    assert result.exit_code == 0, result.output
    model = atmorep_k.load_model(output)
    dataset = components.datasets.WindowDataset(str(tiny_store))
    dataset.open(model.fields)
    for key, array in dataset.normalizers[T].state().items():
        np.testing.assert_array_equal(model.normalizers[T].state()[key], array)


def test_statistics_of_each_grid_point_and_year(
    original, write_run, write_original_store, tmp_path
):
    hours = np.datetime64("2019-11-01T00", "h") + np.arange(0, 24 * 480)
    arrays = write_original_store(tmp_path / "store.zarr", hours=hours, spacing=(60.0, 60.0))
    entry = [*original.field(U, (), (96, 137), tokens=(2, 1, 1), size=(1, 2, 2)), "local"]
    folder = write_run(tmp_path / "run", original.Original(original.options([entry])))
    output = tmp_path / "model.keras"
    import_to_file([folder], output, statistics=str(tmp_path / "store.zarr"))
    normalizer = atmorep_k.load_model(output).normalizers["u_component_of_wind"]
    # November 2019 to February 2021: the last twelve are slots 14 to 25, January 2019 being 0.
    np.testing.assert_array_equal(normalizer.slots, np.arange(14, 26))
    rows, columns = np.arange(4), np.arange(6)
    for time, slot in (("2020-07-04", 18), ("2024-02-01", 25), ("2019-12-31", 23)):
        mean, _ = normalizer.scale(np.array([np.datetime64(time)]), rows, columns)
        expected = arrays["normalization/norm"][slot, 0, 0][[0, 2]]
        np.testing.assert_array_equal(mean[:, 0], expected)


def _slow(changes):
    return pytest.param(changes, marks=pytest.mark.slow)


@pytest.mark.parametrize("per_head", [False, True])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        _slow({"with_qk_lnorm": True, "net_tail_num_layers": 1, "encoder_num_mlp_layers": 3}),
        _slow({"decoder_self_att": True, "decoder_num_layers": 3, "with_layernorm": False}),
        _slow(AXIAL),
    ],
)
def test_there_and_back(changes, per_head, original, write_run, tmp_path):
    if per_head and "encoder_att_type" in changes:
        pytest.skip("axial models have no projections per head")
    values = original.options(fields(original), **changes)
    values["fields_prediction"] = values["fields_prediction"][:2]
    network = original.Original(values, per_head)
    model, _ = import_checkpoint([write_run(tmp_path / "run", network)])
    target = export_checkpoint(model, tmp_path, "back1234")
    state = torch.load(target / "AtmoRep_idback1234.mod", weights_only=True)
    assert set(state) == set(network.state)
    for key, array in network.state.items():
        if not key.startswith("embed_token_info"):  # nothing reads it
            np.testing.assert_array_equal(state[key].numpy(), array, err_msg=key)
    written = json.loads((target / "model_idback1234.json").read_text())
    for name, value in values.items():
        if name not in ("dropout_rate", "fields"):
            assert written[name] == value, name
    assert [f[:5] for f in written["fields"]] == [f[:5] for f in values["fields"]]
    again, report = import_checkpoint([target])
    assert not report.of("new")
    for one, other in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    # The files of the blocks alone are the same model.
    (target / "AtmoRep_idback1234.mod").unlink()
    for one, other in zip(
        model.get_weights(), import_checkpoint([target])[0].get_weights(), strict=True
    ):
        np.testing.assert_array_equal(one, other)


@pytest.fixture
def ours(make_model, make_field):
    """Function (changed parts) -> a built model that the original can express but for them."""
    habits = {"num_heads": 2, "output_activation": True}
    encoder = components.blocks.TransformerBlock(**habits)
    decoder = components.blocks.TransformerBlock(**habits, qk_norm="affine")
    parts = {
        "token_info": components.tokenizers.TokenInfo(embed_dim=4, features="raw"),
        "position": components.positions.HarmonicPosition(original_rows=True),
        "encoder": components.encoders.Encoder(2, encoder),
        "decoder": components.decoders.UNetDecoder(2, decoder),
    }

    def make(**changes):
        model = make_model([make_field()], **{**parts, **changes})
        model.build()
        return model

    return make


def test_a_model_of_ours_goes_there_and_back(ours, randomize, make_batch, tmp_path):
    model = randomize(ours())
    again, _ = import_checkpoint([export_checkpoint(model, tmp_path, "mine1234")])
    inputs, _, _ = make_batch(model.fields)
    one, other = (ops.convert_to_numpy(m(inputs)["temperature"]) for m in (model, again))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"token_info": components.tokenizers.TokenInfo(embed_dim=4)},
            r"TokenInfo\.features = 'harmonic' here; it would be 'raw'",
        ),
        (
            {"position": components.positions.HarmonicPosition()},
            r"HarmonicPosition\.original_rows = False",
        ),
        (
            {
                "encoder": components.encoders.Encoder(
                    num_layers=2, block=components.blocks.TransformerBlock(num_heads=2)
                )
            },
            r"TransformerBlock\.output_activation = False",
        ),
        (
            {
                "encoder": components.encoders.Encoder(
                    num_layers=2,
                    block=components.blocks.TransformerBlock(
                        num_heads=2, mlp_ratio=3.0, output_activation=True
                    ),
                )
            },
            r"TransformerBlock\.mlp_ratio = 3\.0 here; it would be 2\.0",
        ),
        ({"encode": "visible"}, r"AtmoRep\.encode = 'visible'"),
        (
            {"first_guess": components.first_guesses.TemporalNeighbours()},
            r"AtmoRep\.first_guess: its members start from 0",
        ),
    ],
)
def test_what_the_original_cannot_express(changes, words, ours, tmp_path):
    with pytest.raises(UserError, match=f"the original cannot express {words}"):
        export_checkpoint(ours(**changes), tmp_path, "mine1234")
    assert not list(tmp_path.iterdir())


def test_the_tool(ours, tmp_path):
    ours().save(tmp_path / "model.keras")
    path = Path(__file__).parents[3] / "tools" / "export_checkpoint.py"
    spec = importlib.util.spec_from_file_location("export_checkpoint", path)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    arguments = [str(tmp_path / "model.keras"), "--run", "mine1234", "--output", str(tmp_path)]
    result = CliRunner().invoke(tool.main, arguments)
    assert result.output.strip() == str(tmp_path / "idmine1234"), result.output
    result = CliRunner().invoke(tool.main, arguments)
    assert result.exit_code == 1
    assert "idmine1234 already exists; choose another run id" in result.output
