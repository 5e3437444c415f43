"""Processes of PyTorch train what one process trains, and each holds its part."""

import json
import os
import socket
import subprocess
import sys

import keras
import mesh_worker
import numpy as np
import pytest

from atmorep_k.errors import UserError

pytestmark = pytest.mark.backend

if keras.backend.backend() != "torch":
    pytest.skip("of the PyTorch backend", allow_module_level=True)

WORKER = mesh_worker.__file__
SPLIT = {"shard_optimizer": True}


@pytest.fixture(scope="module")
def alone(make_batch):
    """What one process trains."""
    return mesh_worker.train(mesh_worker.make_training(make_batch))


def environment(**variables):
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    return {**kept, "KERAS_BACKEND": "torch", "OMP_NUM_THREADS": "1", **variables}


def free_port(number=1):
    """Returns the first of several ports in a row that nothing listens at."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            first = probe.getsockname()[1]
        try:
            for port in range(first, first + number):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first


def read(folder, meshes):
    return [dict(np.load(folder / f"{number}.npz")) for number in range(len(meshes))]


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    """What processes started with plain environment variables train, by mesh."""
    folder = tmp_path_factory.mktemp("two")
    meshes = [{"shape": [2, 1]}, {"shape": [-1, 2]}, {"shape": [2, 1], **SPLIT}]
    common = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port(3))}
    command = [sys.executable, WORKER, str(folder), *map(json.dumps, meshes)]
    processes = [
        subprocess.Popen(command, env=environment(RANK=str(rank), **common), cwd=folder)
        for rank in range(2)
    ]
    assert [p.wait(300) for p in processes] == [0, 0]
    return dict(zip(("samples", "model", "slots"), read(folder, meshes), strict=True))


@pytest.fixture(scope="module")
def four_processes(tmp_path_factory):
    """What four processes of `torchrun` train on a mesh of both axes."""
    folder = tmp_path_factory.mktemp("four")
    mesh = {"shape": [2, 2], **SPLIT}
    start = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "4"]
    command = [sys.executable, *start, WORKER, str(folder), json.dumps(mesh)]
    subprocess.run(command, env=environment(), cwd=folder, check=True, timeout=300)
    return read(folder, [mesh])[0]


def compare(found, alone):
    np.testing.assert_allclose(found["losses"], alone["losses"], rtol=1e-5)
    assert alone["losses"][-1] < 0.8 * alone["losses"][0]
    for name in set(alone) - {"losses", "bytes"}:
        scale = np.abs(alone[name]).max()
        np.testing.assert_allclose(found[name], alone[name], rtol=1e-5, atol=1e-5 * scale)


def shares(found, alone):
    """Returns which shares of all bytes a process holds, of weights and slots."""
    result = np.divide(found["bytes"], alone["bytes"])
    print(f"weights and slots per process, against one: {result.round(2)}")
    return result


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mesh", "weights", "slots"), [("samples", 1, 1), ("model", 0.51, 0.51), ("slots", 1, 0.5)]
)
def test_two_processes(mesh, weights, slots, two_processes, alone):
    compare(two_processes[mesh], alone)
    np.testing.assert_allclose(shares(two_processes[mesh], alone), [weights, slots], atol=0.01)


@pytest.mark.slow
def test_four_processes(four_processes, alone):
    compare(four_processes, alone)
    np.testing.assert_allclose(shares(four_processes, alone), [0.51, 0.255], atol=0.01)


@pytest.fixture
def engine_on():
    """Function (mesh) -> an engine of it that has started, with a process group of one."""
    from atmorep_k.components.distributions import Mesh
    from atmorep_k.distribution.torch.engine import TorchEngine

    engine = TorchEngine(Mesh((-1, 1)))
    engine.start()

    def make(shape=(1, 1), **options):
        engine.mesh, engine.size = Mesh(shape, **options), shape
        return engine

    yield make
    engine.stop()


@pytest.mark.parametrize(
    ("mesh", "optimizer", "message"),
    [
        ({"fields": "spread"}, "AdamW", "KERAS_BACKEND=tensorflow"),
        ({"shape": (1, 4)}, "AdamW", "kernel belongs to 2 heads, .* over 4 devices"),
        (
            {"layout": {"tail/*bias": ("batch", None)}, "shape": (2, 1)},
            "AdamW",
            "split over 'model' and slots of the optimiser also over samples",
        ),
        ({"shape": (1, 2)}, "Adafactor", "Adafactor cannot update parts of weights; choose SGD"),
        (SPLIT, "Lamb", "Lamb cannot update parts"),
    ],
)
def test_mistakes(mesh, optimizer, message, engine_on, make_batch):
    engine = engine_on(**mesh)
    model = mesh_worker.make_training(make_batch).model
    rules = engine.mesh.rules(model, engine.size)
    with pytest.raises(UserError, match=message):
        engine.check(model, getattr(keras.optimizers, optimizer)(1e-3), rules)


def test_replicas_draw_different_dropout(engine_on, make_batch):
    engine = engine_on()

    def predicted(row):
        keras.utils.set_random_seed(0)
        training = mesh_worker.make_training(make_batch, dropout=0.5)
        model, optimizer = training.model, training.optimizer
        engine.check(model, optimizer, {})
        model.build()
        model.compile(optimizer, training.loss)
        optimizer.build(model.trainable_variables)
        engine._place = (row, 0)
        engine.distribute(model)
        members = model(make_batch(model.fields)[0], training=True)["temperature"]
        return keras.ops.convert_to_numpy(members)

    first = predicted(0)
    np.testing.assert_array_equal(predicted(0), first)
    assert np.abs(predicted(1) - first).max() > 0.1 * first.std()
