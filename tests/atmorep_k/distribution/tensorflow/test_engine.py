"""TensorFlow trains on any mesh what it trains on one device."""

import json
import socket

import keras
import numpy as np
import pytest
from mesh_runs import check, finish, shares, start

from atmorep_k import components
from atmorep_k.distribution import engine_for
from atmorep_k.errors import UserError

pytestmark = pytest.mark.backend

if keras.backend.backend() != "tensorflow":
    pytest.skip("of the TensorFlow backend", allow_module_level=True)


MESHES = {
    "alone": None,
    "batch": {"shape": [2, 1]},
    "fields": {"shape": [1, 2], "fields": "spread"},
    "tensors": {"shape": [1, 2]},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Runs on one device, in one process on two, and in two processes."""
    folder = tmp_path_factory.mktemp("runs")
    runs = [[str(folder / name), mesh, False] for name, mesh in MESHES.items()]
    finish(start(runs, [1, 2]), *start_workers([[str(folder / "workers"), MESHES["batch"], False]]))
    return folder


def start_workers(runs):
    with socket.socket() as one, socket.socket() as other:
        for probe in (one, other):
            probe.bind(("127.0.0.1", 0))
        cluster = {"worker": [f"127.0.0.1:{probe.getsockname()[1]}" for probe in (one, other)]}
    tasks = [{"cluster": cluster, "task": {"type": "worker", "index": n}} for n in range(2)]
    return [start(runs, [2, 1], TF_CONFIG=json.dumps(task)) for task in tasks]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "weights", "slots"), [("batch", 1, 1), ("fields", 0.5, 0.5), ("tensors", 0.516, 0.516)]
)
def test_devices_of_one_process(name, weights, slots, folder):
    check(folder, name)
    np.testing.assert_allclose(shares(folder, name), [weights, slots], atol=0.01)


@pytest.mark.slow
def test_two_workers(folder):
    check(folder, "workers")
    assert json.loads((folder / "workers" / "run.json").read_text())["processes"] == 2


def refusal(model, optimizer=None, size=(1, 2), **options):
    """Returns what a mesh on TensorFlow is refused with, as if there were enough devices."""
    mesh = components.distributions.Mesh(shape=size, **options)
    engine = engine_for(mesh)
    engine.size, engine._devices = size, [f"CPU:{n}" for n in range(4)]
    with pytest.raises(UserError) as error:
        engine.check(model, optimizer or keras.optimizers.AdamW(), mesh.rules(model, size))
    return str(error.value)


def test_what_cannot_be_done_is_refused_with_what_can(make_model):
    model, half = make_model(), make_model(dtype="mixed_float16")
    assert "KERAS_BACKEND to jax or torch" in refusal(model, size=(2, 1), shard_optimizer=True)
    assert "mixed_bfloat16" in refusal(half, size=(2, 1))
    assert "(1, 2), or leave Mesh.fields out" in refusal(model, size=(2, 2), fields="spread")
    members = {"tail": components.tails.LinearEnsemble(num_members=4)}
    heads = "1 heads, which cannot be spread over 2 devices"
    assert heads in refusal(make_model(**members))
    by_rows = {"encoder/*widen/kernel": ("batch", None)}
    assert "by Mesh.shape = (1, 2)" in refusal(model, size=(2, 1), layout=by_rows)
    averaging = keras.optimizers.AdamW(use_ema=True)
    assert "AdamW.use_ema out" in refusal(model, averaging, size=(2, 1))


@pytest.mark.parametrize("mesh", [{"shape": (1, 2)}, {"shape": (2, 1), "fields": "spread"}])
def test_several_processes_share_samples_only(mesh, monkeypatch):
    task = {"type": "worker", "index": 1}
    config = {"cluster": {"worker": ["a:2222", "b:2222"]}, "task": task}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    with pytest.raises(UserError, match=r"choose Mesh.shape = \(2, 1\) without fields"):
        engine_for(components.distributions.Mesh(**mesh)).start()


def test_too_few_devices_are_told():
    with pytest.raises(UserError, match="there is 1 device"):
        engine_for(components.distributions.Mesh(shape=(1, 3))).start()
