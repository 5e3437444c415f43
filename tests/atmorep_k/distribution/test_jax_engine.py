"""JAX trains on any mesh what it trains on one device, and goes on on another mesh."""

import csv
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import keras
import mesh_worker
import numpy as np
import pytest

import atmorep_k
from atmorep_k.checkpoints import checkpoints
from atmorep_k.run_directory import RunDirectory

if keras.backend.backend() != "jax":
    pytest.skip("of the JAX backend", allow_module_level=True)

# Argument: JSON of runs, each [folder, options of the mesh or null, whether it is resumed].
RUNS = """
import json, sys
from atmorep_k.distribution.devices import ask_for_devices
ask_for_devices({"Mesh.shape": json.loads(sys.argv[2])})
import mesh_worker
from atmorep_k.run_directory import RunDirectory

for folder, mesh, resume in json.loads(sys.argv[1]):
    training = mesh_worker.make_training(mesh_worker._random_batch(), mesh)
    training.checkpoint_every, training.steps_per_epoch = 10, 15
    training.run(RunDirectory(folder), "", resume=resume)
"""


def start(runs, shape, **variables):
    """Starts a process that carries out runs on as many devices as a mesh asks for."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(mesh_worker.__file__).parent),
        **variables,
    }
    command = [sys.executable, "-c", RUNS, json.dumps(runs), json.dumps(shape)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def finish(*processes):
    for process in processes:
        said = process.communicate(timeout=300)[1]
        assert process.returncode == 0, said[-3000:]


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


def losses(folder):
    with RunDirectory(folder).history.open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == list(range(1, mesh_worker.STEPS + 1))
    validated = [float(row["val_loss"]) for row in rows if row["val_loss"]]
    assert len(validated) == 2
    return [*(float(row["loss"]) for row in rows), *validated]


def check(folder, name):
    found, alone = losses(folder / name), losses(folder / "alone")
    np.testing.assert_allclose(found, alone, rtol=1e-5)
    assert alone[mesh_worker.STEPS - 1] < 0.9 * alone[0]
    models = [atmorep_k.load_model(RunDirectory(folder / n).model) for n in (name, "alone")]
    for one, other in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5 * np.abs(other).max())


def shares(folder, name):
    """Returns which share of all bytes a device holds, of weights and of the optimiser's state."""
    records = [json.loads(RunDirectory(folder / n).record.read_text()) for n in (name, "alone")]
    found, alone = (list(record["bytes_per_device"].values()) for record in records)
    print(f"{name}: weights and optimiser per device, against one device: {found} of {alone}")
    return np.divide(found, alone)


@pytest.mark.parametrize(
    ("name", "weights", "slots"), [("batch", 1, 1), ("model", 0.51, 0.51), ("both", 0.51, 0.26)]
)
def test_devices_of_one_process(name, weights, slots, folder):
    check(folder, name)
    np.testing.assert_allclose(shares(folder, name), [weights, slots], atol=0.01)


@pytest.mark.parametrize("name", ["on_one", "on_four"])
def test_a_run_goes_on_on_another_mesh(name, resumed):
    check(resumed, name)
    assert json.loads(RunDirectory(resumed / name).record.read_text())["resumed_from_step"] == 20


def test_two_processes(processes):
    check(processes, "processes")
    assert json.loads((processes / "processes" / "run.json").read_text())["processes"] == 2
