"""JAX trains on any mesh what it trains on one device, and goes on on another mesh."""

import json
import shutil
import socket

import keras
import numpy as np
import pytest
from mesh_runs import check, finish, shares, start

from atmorep_k.runs.checkpoints import checkpoints
from atmorep_k.runs.directory import RunDirectory

if keras.backend.backend() != "jax":
    pytest.skip("of the JAX backend", allow_module_level=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Runs on one device, and in one process on several."""
    folder = tmp_path_factory.mktemp("runs")
    meshes = {
        "alone": None,
        "batch": {"shape": [2, 1]},
        "model": {"shape": [1, 2]},
        "both": {"shape": [2, 2], "shard_optimizer": True},
    }
    finish(start([[str(folder / name), mesh, False] for name, mesh in meshes.items()], [2, 2]))
    return folder


@pytest.fixture(scope="module")
def resumed(folder):
    """The run on 2 x 2 devices, stopped after step 20, and taken up on other meshes."""
    meshes = {"on_one": None, "on_four": {"shape": [4, 1]}}
    for name in meshes:
        shutil.copytree(folder / "both", folder / name)
        run = RunDirectory(folder / name)
        run.model.unlink()
        for checkpoint in checkpoints(run.checkpoints)[1:]:
            shutil.rmtree(checkpoint.path)
    finish(start([[str(folder / name), mesh, True] for name, mesh in meshes.items()], [2, 2]))
    return folder


@pytest.fixture(scope="module")
def processes(folder):
    """The run in two processes of one device each."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    common = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    runs = [[str(folder / "processes"), {"shape": [2, 1]}, False]]
    finish(*(start(runs, [2, 1], RANK=str(rank), **common) for rank in range(2)))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "weights", "slots"), [("batch", 1, 1), ("model", 0.51, 0.51), ("both", 0.51, 0.26)]
)
def test_devices_of_one_process(name, weights, slots, folder):
    check(folder, name)
    np.testing.assert_allclose(shares(folder, name), [weights, slots], atol=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["on_one", "on_four"])
def test_a_run_goes_on_on_another_mesh(name, resumed):
    check(resumed, name)
    assert json.loads(RunDirectory(resumed / name).record.read_text())["resumed_from_step"] == 20


@pytest.mark.slow
def test_two_processes(processes):
    check(processes, "processes")
    assert json.loads((processes / "processes" / "run.json").read_text())["processes"] == 2
