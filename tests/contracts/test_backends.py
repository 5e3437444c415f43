"""One saved model on all backends: it opens, predicts the same and trains to the same loss.

Done once, from the default backend, with a process for each backend.
"""

import json
import os
import subprocess
import sys
from importlib.machinery import PathFinder
from pathlib import Path

import numpy as np
import pytest

from atmorep_k import components

pytestmark = pytest.mark.slow

BACKENDS = ("jax", "torch", "tensorflow")


def installed(backend):
    # Not importlib.util.find_spec: TensorFlow is left out of this process.
    return PathFinder.find_spec(backend) is not None


class Worker:
    """A process on one backend, see `backend_worker.py`."""

    def __init__(self, backend, folder):
        self.errors = folder / f"{backend}.log"
        environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
        with self.errors.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, Path(__file__).with_name("backend_worker.py")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=folder,
                env=environment,
            )

    def __call__(self, command, **arguments):
        """Returns what the process answers."""
        arguments = {n: str(a) if isinstance(a, Path) else a for n, a in arguments.items()}
        self.process.stdin.write(json.dumps([command, arguments]) + "\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith('{"result"'):
                return json.loads(line)["result"]
        return pytest.fail(self.errors.read_text()[-3000:])

    def close(self):
        """Ends the process."""
        self.process.stdin.close()
        self.process.wait(timeout=60)


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Function (backend) -> its worker; skips where the backend is not installed."""
    workers = {}

    def started(backend):
        if not installed(backend):
            pytest.skip(f"{backend} is not installed")
        if backend not in workers:
            workers[backend] = Worker(backend, tmp_path_factory.mktemp(backend))
        return workers[backend]

    yield started
    for worker in workers.values():
        worker.close()


@pytest.fixture(scope="module")
def case(make_model, make_field, make_batch, randomize, tmp_path_factory):
    """Folder with a model of two fields that uses most of what there is, and a batch."""
    folder = tmp_path_factory.mktemp("case")
    fields = [make_field("vorticity"), make_field("2m_temperature", levels=[0], loss_weight=2.0)]
    model = make_model(
        fields,
        encode="visible",
        token_info=components.tokenizers.TokenInfo(4, hidden=(6,)),
        encoder=components.encoders.Encoder(
            num_layers=2, block=components.blocks.TransformerBlock(num_heads=2, qk_norm="plain")
        ),
        decoder=components.decoders.UNetDecoder(
            num_layers=3, block=components.blocks.TransformerBlock(num_heads=2, qk_norm="affine")
        ),
    )
    model.build()
    randomize(model, scale=0.3)
    model.save(folder / "model.keras")
    names = ("inputs", "targets", "weights")
    for name, arrays in zip(names, make_batch(fields, size=3), strict=True):
        np.savez(folder / f"{name}.npz", **arrays)
    return folder


@pytest.mark.parametrize("writer", BACKENDS)
def test_a_model_predicts_the_same_wherever_it_is_opened(writer, start, case, tmp_path):
    path = tmp_path / "model.keras"
    assert start(writer)("resave", source=case / "model.keras", target=path, seed=3)
    predicted = {}
    for reader in BACKENDS:
        if reader != writer and not installed(reader):
            continue
        output = tmp_path / f"{reader}.npz"
        backend = start(reader)("predict", path=path, batch=case / "inputs.npz", output=output)
        assert backend == reader
        predicted[reader] = dict(np.load(output))
    assert len(predicted) > 1
    for name, expected in predicted[writer].items():
        assert np.abs(expected).max() > 0.1
        for arrays in predicted.values():
            ratio = np.abs(arrays[name] - expected).max() / np.abs(expected).max()
            assert ratio < 1e-5


def test_training_steps_have_the_same_losses(start, case):
    files = {
        "path": case / "model.keras",
        "batch": case / "inputs.npz",
        "targets": case / "targets.npz",
        "weights": case / "weights.npz",
    }
    losses = {
        backend: start(backend)("train", **files, steps=4)
        for backend in BACKENDS
        if installed(backend)
    }
    assert losses["jax"][3] < losses["jax"][0]
    for backend, values in losses.items():
        assert values == pytest.approx(losses["jax"], rel=1e-4), backend
