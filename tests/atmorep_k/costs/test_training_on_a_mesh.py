"""What is foretold of a device of a mesh, against what JAX puts there and XLA needs."""

import json
import subprocess
import sys

import keras
import pytest

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="XLA tells what it needs on JAX"
)

# Run by a process of its own: devices are made before JAX is used.
COMPARE = """
import json, sys
from atmorep_k import config
from atmorep_k.distribution.devices import ask_for_devices

configuration = config.load([sys.argv[1], "train/single.gin"], ["MESH=(2, 2)"])
ask_for_devices(configuration.bindings)
task = configuration.build()
import jax
from keras.src.backend.jax.trainer import _distribute_data
from atmorep_k.costs.training import estimate

found = estimate(task)
task.prepare()
model, engine = task.model, task.engine
batches = task.dataset.batches("train", 4, task.masking, 0, num_steps=1, part=engine.part)
values = lambda variables: [v.value for v in variables]
with engine.scope():
    state = (model.trainable_variables, model.non_trainable_variables)
    state = [*state, model.optimizer.variables, model.metrics_variables]
    batch = _distribute_data(next(iter(engine.feed(batches))))
    step = jax.jit(model.train_step, donate_argnums=0)
    compiled = step.lower(tuple(map(values, state)), batch).compile()
arrays = jax.tree.leaves(batch)
print(json.dumps({
    "weights": [found.weights, engine.held_bytes(model.weights)],
    "slots": [found.slots, engine.held_bytes(model.optimizer.variables)],
    "batch": [found.batch, sum(a.addressable_shards[0].data.nbytes for a in arrays)],
    "flops": [found.device_flops, compiled.cost_analysis()["flops"]],
    "temporary": [
        found.activations + found.gradients, compiled.memory_analysis().temp_size_in_bytes
    ],
}))
"""


@pytest.mark.slow
def test_a_device_of_a_mesh_holds_what_is_foretold(tiny_config, tmp_path):
    bindings = {"decoder/TransformerBlock.num_heads": 4, "LinearEnsemble.num_members": 4}
    sizes = {"window": (12, 8, 16), "token_size": (1, 2, 2), "embed_dim": 64, "batch_size": 4}
    (tmp_path / "top.gin").write_text(tiny_config(bindings, **sizes))
    done = subprocess.run(
        [sys.executable, "-P", "-c", COMPARE, str(tmp_path / "top.gin")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    for part in ("weights", "slots", "batch"):
        foretold, held = found[part]
        assert foretold == held, part
    for part in ("flops", "temporary"):
        foretold, measured = found[part]
        assert foretold == pytest.approx(measured, rel=0.15), part
