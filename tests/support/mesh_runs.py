"""Whole runs on meshes, each group in a process of its own, for tests of any backend."""

import csv
import json
import os
import subprocess
import sys

import mesh_worker
import numpy as np

import atmorep_k
from atmorep_k.runs.directory import RunDirectory

# Argument: JSON of runs, each [folder, options of the mesh or null, whether it is resumed].
RUNS = """
import json, sys
import mesh_worker
from atmorep_k.distribution.devices import ask_for_devices
ask_for_devices({"Mesh.shape": json.loads(sys.argv[2])})
from atmorep_k.runs.directory import RunDirectory

for folder, mesh, resume in json.loads(sys.argv[1]):
    training = mesh_worker.make_training(mesh_worker._random_batch(), mesh)
    training.schedule.checkpoint_every, training.schedule.steps_per_epoch = 10, 15
    seen = mesh_worker.predicting(training)
    # Where weights are split, or fields placed; it takes a compilation.
    training.callbacks = [seen] if mesh and mesh["shape"] == [1, 2] and not resume else []
    training.run(RunDirectory(folder), "", resume=resume)
    if training.callbacks and training.engine.is_main:
        seen.check()
"""


def start(runs, shape, **variables):
    """Starts a process that carries out runs on as many devices as a mesh asks for."""
    environment = {**os.environ, **variables}
    command = [sys.executable, "-P", "-c", RUNS, json.dumps(runs), json.dumps(shape)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def finish(*processes):
    """Waits for processes, and shows what one said that failed."""
    for process in processes:
        said = process.communicate(timeout=300)[1]
        assert process.returncode == 0, said[-3000:]


def losses(folder):
    """Returns the losses of all steps of a run, then those of its validations."""
    with RunDirectory(folder).history.open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == list(range(1, mesh_worker.STEPS + 1))
    validated = [float(row["val_loss"]) for row in rows if row["val_loss"]]
    assert len(validated) == 2
    return [*(float(row["loss"]) for row in rows), *validated]


def check(folder, name):
    """Asks that a run has the losses and weights of the run `alone` on one device."""
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
