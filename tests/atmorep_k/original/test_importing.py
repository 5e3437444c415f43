"""Imported models compute what the original's network does, for all that its settings express."""

import numpy as np
import pytest
from keras import ops

from atmorep_k.earth.variables import canonical_name
from atmorep_k.errors import UserError
from atmorep_k.original.importing import import_checkpoint

pytest.importorskip("torch")
U, V, T = "velocity_u", "velocity_v", "temperature"


def three(field, **changes):
    """Three coupled fields with different tokens and channels, as the published ones have."""
    return [
        field(U, [V, T], **changes),
        field(V, [T], **changes),
        field(T, [U, V], tokens=(2, 1, 2), size=(2, 6, 4), dim=36, **changes),
    ]


AXIAL = {"encoder_num_heads": 5, "encoder_att_type": "axial", "decoder_att_type": "axial"}
CASES = {
    "plain": {},
    "head norms": {"with_qk_lnorm": True},
    "no layer norms": {"with_layernorm": False, "with_qk_lnorm": True},
    "deep nets": {
        "encoder_num_mlp_layers": 4,
        "decoder_num_mlp_layers": 1,
        "net_tail_num_layers": 2,
    },
    "one tail": {"net_tail_num_nets": 1},
    "few looks back": {"decoder_cross_att_ratio": 0.25, "decoder_cross_att_rate": 0.5},
    "no looks back": {"decoder_cross_att_ratio": 0.0},
    "only looks back": {"decoder_cross_att_ratio": 1.0},
    "shallow decoder": {"encoder_num_layers": 3, "decoder_num_layers": 1},
    "deep decoder": {"encoder_num_layers": 1, "decoder_num_layers": 3},
    "self attention first": {"decoder_self_att": True, "decoder_num_layers": 3},
    "axial": AXIAL,
    "axial in parallel": {
        **AXIAL,
        "encoder_att_type": "axial_parallel",
        "decoder_att_type": "axial_parallel",
    },
    "axial encoder": {**AXIAL, "decoder_att_type": "dense", "with_layernorm": False},
    "axial decoder": {**AXIAL, "encoder_att_type": "dense", "encoder_num_heads": 4},
    "two coupling heads": {"coupling_num_heads_per_field": 2},
}
COUPLED_AXIAL = {**AXIAL, "encoder_num_heads": 4, "coupling_num_heads_per_field": 2}


def _slow(changes):
    return pytest.param(changes, marks=pytest.mark.slow)


def compare(network, folder, write_run, inputs_of, tolerance=2e-5, **options):
    write_run(folder, network, **options)
    model, report = import_checkpoint([folder])
    inputs, *theirs = inputs_of(model, network.names)
    expected, found = network.members(*theirs), model(inputs)
    assert set(found) == {canonical_name(name) for name in expected}
    for name, array in expected.items():
        ours = ops.convert_to_numpy(found[canonical_name(name)])
        assert np.abs(ours - array).max() < tolerance * np.abs(array).max()
    return model, report


@pytest.mark.backend
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in ("plain", "axial") else [pytest.mark.slow])
        for name in CASES
    ],
)
def test_one_field(name, original, write_run, inputs_of, tmp_path):
    values = original.options([original.field(U, dim=24)], **CASES[name])
    compare(original.Original(values), tmp_path, write_run, inputs_of)


@pytest.mark.backend
@pytest.mark.parametrize(
    "changes",
    [
        {},
        _slow({"with_qk_lnorm": True, "coupling_num_heads_per_field": 2}),
        _slow({"with_layernorm": False, "decoder_num_layers": 3}),
        _slow(COUPLED_AXIAL),
        _slow({**COUPLED_AXIAL, "encoder_att_type": "axial_parallel"}),
    ],
)
def test_three_coupled_fields(changes, original, write_run, inputs_of, tmp_path):
    network = original.Original(original.options(three(original.field), **changes))
    _, report = compare(network, tmp_path, write_run, inputs_of)
    taken, unused = ({f.key for f in report.of(fate)} for fate in ("taken", "unused"))
    assert taken | unused == set(network.state)
    assert {key for key in unused if ".embed." not in key} == {
        "embed_token_info.weight",
        "embed_token_info.bias",
    }
    assert not report.of("new")


@pytest.mark.backend
@pytest.mark.parametrize(
    "changes",
    [
        {},
        _slow({"with_qk_lnorm": True, "coupling_num_heads_per_field": 2}),
        _slow({"decoder_self_att": True, "encoder_num_layers": 1}),
    ],
)
def test_projections_per_head_of_2023(changes, original, write_run, inputs_of, tmp_path):
    values = original.options(three(original.field), **changes)
    network = original.Original(values, per_head=True)
    _, report = compare(network, tmp_path, write_run, inputs_of)
    assert "2023 layout" in report.runs[0]


def test_predicted_fields_in_any_order_and_fields_at_the_surface(
    original, write_run, inputs_of, tmp_path
):
    fields = [
        original.field(U, ["t2m"]),
        original.field("t2m", levels=(0,)),
        original.field(V, [U]),
    ]
    order = [[V, 0.25], [U, 1.0]]
    network = original.Original(original.options(fields, fields_prediction=order))
    model, _ = compare(network, tmp_path, write_run, inputs_of)
    assert [f.name for f in model.predicted] == ["u_component_of_wind", "v_component_of_wind"]
    assert [f.loss_weight for f in model.predicted] == [1.0, 0.25]
    assert not model.fields[1].predicted


@pytest.mark.slow
def test_many_levels(original, write_run, inputs_of, tmp_path):
    levels = tuple(range(100, 110))  # the original fails from the eighth on
    values = original.options([original.field(U, levels=levels, tokens=(1, 2, 2))])
    compare(original.Original(values), tmp_path, write_run, lambda m, n: inputs_of(m, n, slots=2))


def test_a_net_of_token_information_that_all_fields_share(original, write_run, inputs_of, tmp_path):
    network = original.Original(original.options(three(original.field)))
    network.state["embed_token_info.weight"] *= 1e-3
    expected = dict(network.state)
    for number in range(3):
        for word in ("weight", "bias"):
            expected[f"embeds_token_info.{number}.{word}"] = expected[f"embed_token_info.{word}"]
    for case in ("missing", "zero"):
        for number in range(3):
            del network.state[f"embeds_token_info.{number}.bias"]
            del network.state[f"embeds_token_info.{number}.weight"]
        if case == "zero":
            for number in range(3):
                network.state[f"embeds_token_info.{number}.weight"] = np.zeros((4, 8), "float32")
                network.state[f"embeds_token_info.{number}.bias"] = np.ones(4, "float32")
        write_run(tmp_path / case, network)
        model, report = import_checkpoint([tmp_path / case])
        network.state, kept = expected, network.state
        inputs, *theirs = inputs_of(model, network.names)
        for name, array in network.members(*theirs).items():
            ours = ops.convert_to_numpy(model(inputs)[canonical_name(name)])
            assert np.abs(ours - array).max() < 2e-5 * np.abs(array).max()
        network.state = dict(expected)
        notes = {f.note for f in report.of("unused") if f.key.startswith("embeds_token_info")}
        assert len(notes) == (case == "zero")
        assert kept is not expected


def test_missing_options_take_the_originals_defaults(original, write_run, inputs_of, tmp_path):
    values = original.options([original.field(U)])
    optional = ("with_qk_lnorm", "with_layernorm", "decoder_att_type", "time_sampling")
    network = original.Original(values)
    for name in optional:
        del network.cf[name]
    write_run(tmp_path, network)
    model, report = import_checkpoint([tmp_path])
    assert set(report.assumed) == set(optional)
    assert any("assumed  with_qk_lnorm = False" in line for line in report.summary())
    network.cf.update(with_qk_lnorm=False, with_layernorm=True, decoder_att_type="dense")
    inputs, *theirs = inputs_of(model, [U])
    ours = ops.convert_to_numpy(model(inputs)["u_component_of_wind"])
    np.testing.assert_allclose(ours, network.members(*theirs)[U], atol=1e-4)


def test_a_model_put_together_from_files_of_blocks(original, write_run, inputs_of, tmp_path):
    network = original.Original(original.options(three(original.field)))
    _, report = compare(network, tmp_path, write_run, inputs_of, whole=False, blocks=True)
    assert "files of blocks" in report.runs[0]
    assert not report.of("new")


def singles(original, write_run, folder):
    """Runs of one field each, and the settings of a coupled run that starts from them."""
    fields = three(original.field)
    for number, entry in enumerate(fields):
        network = original.Original(original.options([_alone(entry)]), seed=number)
        write_run(folder / f"id{number}", network, run=str(number), whole=False, blocks=True)
        entry[1].append([str(number), -2])
    return fields


def test_a_coupled_model_from_runs_of_single_fields(original, write_run, inputs_of, tmp_path):
    values = original.options(singles(original, write_run, tmp_path))
    shell = original.Original(values)
    write_run(tmp_path / "idmulti", shell, run="multi", whole=False)
    model, report = import_checkpoint([tmp_path / "idmulti"])
    # Couplings start at zero, so each field predicts what it does alone.
    inputs, *_ = inputs_of(model, shell.names)
    together = model(inputs)
    for number, field in enumerate(model.fields):
        alone = original.Original(original.options([_alone(values["fields"][number])]), seed=number)
        write_run(tmp_path / f"alone{number}", alone, run=str(number))
        alone, _ = import_checkpoint([tmp_path / f"alone{number}"])
        own = {k: a for k, a in inputs.items() if k.startswith(f"{field.name}/")}
        np.testing.assert_array_equal(
            ops.convert_to_numpy(together[field.name]), ops.convert_to_numpy(alone(own)[field.name])
        )
    again, _ = import_checkpoint([tmp_path / "idmulti"])
    for one, other in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    new = report.of("new")
    # Queries, keys with values, and projection of five couplings in two layers.
    assert len(new) == 2 * 5 * 3
    assert {"zero" in f.note for f in new if "project" in f.where[0]} == {True}
    assert sum("start" in line for line in report.summary()) == 2


def _alone(entry):
    return [entry[0], [*entry[1][:2], [], 0], *entry[2:]]


def test_several_runs_side_by_side(original, write_run, inputs_of, tmp_path):
    networks = [
        original.Original(original.options([original.field(name)]), seed=seed)
        for seed, name in enumerate((U, V))
    ]
    folders = [
        write_run(tmp_path / n, network, run=n) for n, network in zip("ab", networks, strict=True)
    ]
    model, report = import_checkpoint(folders)
    inputs, tokens, infos, masked = inputs_of(model, [U, V])
    found = model(inputs)
    for network, name in zip(networks, (U, V), strict=True):
        expected = network.members(tokens, infos, masked)[name]
        ours = ops.convert_to_numpy(found[canonical_name(name)])
        assert np.abs(ours - expected).max() < 2e-5 * np.abs(expected).max()
    assert len(report.runs) == 2


def test_runs_that_cannot_be_one_model(original, write_run, tmp_path):
    def run(name, field, per_head=False, **changes):
        network = original.Original(original.options([field], **changes), per_head)
        return write_run(tmp_path / name, network, run=name)

    first = run("a", original.field(U))
    with pytest.raises(UserError, match="net_tail_num_nets is 3 in the first and 2 in the second"):
        import_checkpoint([first, run("b", original.field(V), net_tail_num_nets=2)])
    with pytest.raises(UserError, match="share a field"):
        import_checkpoint([first, run("c", original.field(U))])
    with pytest.raises(UserError, match="different layouts"):
        import_checkpoint([first, run("d", original.field(V), per_head=True)])
    with pytest.raises(UserError, match="they see windows"):
        import_checkpoint([first, run("e", original.field(V, size=(2, 2, 4)))])


def test_epochs(original, write_run, tmp_path):
    values = original.options([original.field(U)])
    for epoch, seed in ((None, 0), (7, 1), (12, 2)):
        write_run(tmp_path, original.Original(values, seed=seed), epoch=epoch)
    weights = [import_checkpoint([tmp_path], epoch)[0].get_weights()[0] for epoch in (None, 7, 12)]
    for seed, array in enumerate(weights):
        expected = original.Original(values, seed=seed).state["embeds.0.weight"]
        np.testing.assert_array_equal(array, expected.T)
    (tmp_path / "AtmoRep_idabcd1234.mod").unlink()
    last = import_checkpoint([tmp_path])[0].get_weights()[0]
    np.testing.assert_array_equal(last, weights[2])
    with pytest.raises(UserError, match=r"no weights of epoch 8; it has epochs \[7, 12\]"):
        import_checkpoint([tmp_path], 8)
