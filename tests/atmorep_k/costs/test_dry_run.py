import keras
import pytest

from atmorep_k import components
from atmorep_k.costs.dry_run import dry_run, size_lines
from atmorep_k.model.declared import count_parameters
from atmorep_k.training import Pretraining, TrainingSchedule


@pytest.fixture
def make_task(make_model, tiny_store):
    def make(store=tiny_store, mesh=None, **parts):
        return Pretraining(
            make_model(**parts),
            dataset=components.datasets.WindowDataset(str(store)),
            masking=components.maskings.RandomTokens(),
            loss=components.losses.EnsembleMSE(),
            optimizer=keras.optimizers.AdamW(1e-3),
            schedule=TrainingSchedule(batch_size=3),
            mesh=mesh,
        )

    return make


@pytest.mark.backend
def test_sizes_follow_from_shapes(make_task, tmp_path):
    task = make_task(store=tmp_path / "absent.zarr")
    lines = "\n".join(size_lines(task))
    assert f"parameters       {count_parameters(task.model):,}\n" in lines
    assert "FieldSpec('temperature'" in lines
    assert "a step of 3 samples" in lines
    assert not task.model.built
    assert not list(tmp_path.iterdir())


def test_both_counts_where_the_original_has_a_weight_more(make_task):
    lines = size_lines(make_task(token_info=components.tokenizers.TokenInfo(5, features="raw")))
    with_unused = next(line for line in lines if "as the original counts" in line)
    count = int(next(li for li in lines if li.startswith("param")).split()[1].replace(",", ""))
    assert f"{count + 45:,} as the original counts: its files hold 45 more" in with_unused


@pytest.mark.backend
def test_a_mesh_is_counted_per_device(make_task, tmp_path, capsys):
    mesh = components.distributions.Mesh((3, 2))
    parts = {"tail": components.tails.LinearEnsemble(num_members=4)}
    parts["decoder"] = components.decoders.UNetDecoder(
        num_layers=2, block=components.blocks.TransformerBlock(num_heads=4)
    )
    dry_run(make_task(store=tmp_path / "absent.zarr", mesh=mesh, **parts))
    text = capsys.readouterr().out
    assert f"devices          3 (batch) x 2 (model), with {keras.backend.backend()}" in text
    assert "a step of 3 samples" in text
    assert "on a device" in text
    assert "loader" not in text


def test_devices_that_are_not_counted_are_said(make_task):
    mesh = components.distributions.Mesh((-1, 1))
    assert "counts as 1: give numbers to plan" in "\n".join(size_lines(make_task(mesh=mesh)))


def test_a_store_that_is_not_there_is_said_and_no_failure(make_task, tmp_path, capsys):
    dry_run(make_task(store=tmp_path / "absent.zarr"))
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("loader and step  not measured: ")
    assert "absent.zarr" in last


@pytest.mark.backend
def test_rates_are_measured_where_the_store_is_there(make_task, capsys):
    task = make_task()
    dry_run(task)
    *_, loader, step = capsys.readouterr().out.splitlines()
    assert float(loader.removeprefix("loader").split()[0]) > 0
    assert float(step.removeprefix("step").split()[0]) > 0
    assert "for 1000 steps" in step
