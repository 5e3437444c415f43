"""One training step on each backend, against the machine's own matrix-product rate.

    python benchmarks/train_step.py [--backends jax torch tensorflow] [--steps 10]

Each backend runs in a process of its own, on the same configuration and batch. In that process the
step and a product of two square float32 matrices are timed in turns; the share is the step's
floating point operations per second divided by the product's. Operations are those of matrix
products alone, three times the forward pass (once forward, twice backward). Memory is the peak of
the process above what it held before the model was built.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time

CONFIG = ("pretrain_field.gin",)
SIDE = 2048


def main():
    arguments = parse()
    if arguments.child:
        print(json.dumps(measure(arguments.steps)))
        return
    print(f"{'backend':<12}{'step':>9}{'samples/s':>11}{'GFLOP/s':>9}", end="")
    print(f"{'product':>9}{'share':>7}{'memory':>9}{'traces':>8}")
    for backend in arguments.backends:
        row = run(backend, arguments.steps)
        print(
            f"{backend:<12}{row['step']:>7.3f} s{row['samples']:>11.1f}{row['rate']:>9.1f}"
            f"{row['product']:>9.1f}{row['share']:>7.2f}{row['memory']:>6.0f} MB{row['traces']:>8}"
        )


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backends", nargs="+", default=["jax", "torch", "tensorflow"])
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def run(backend: str, steps: int) -> dict:
    command = [sys.executable, __file__, "--child", "--steps", str(steps)]
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    result = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    return json.loads(result.stdout.splitlines()[-1])


def measure(steps: int) -> dict:
    import keras

    from atmorep_k import config

    keras.utils.set_random_seed(0)
    task = config.load(CONFIG).build()
    batch, slots = random_batch(task)
    product = matrix_product(keras)
    product()
    before = peak_memory()
    model = task.model
    model.build()
    model.compile(optimizer=task.optimizer, loss=task.loss)
    task.optimizer.build(model.trainable_variables)
    traces = count_calls(model)
    model.train_on_batch(*batch)
    model.train_on_batch(*batch)
    step_times, product_times = [], []
    for _ in range(steps):
        step_times.append(seconds(lambda: model.train_on_batch(*batch)))
        product_times.append(seconds(product))
    step, square = statistics.median(step_times), statistics.median(product_times)
    rate = 3 * forward_operations(model, task.batch_size, slots) / step / 1e9
    speed = 2 * SIDE**3 / square / 1e9
    return {
        "step": step,
        "samples": task.batch_size / step,
        "rate": rate,
        "product": speed,
        "share": rate / speed,
        "memory": peak_memory() - before,
        "traces": traces[0] if keras.backend.backend() != "torch" else "eager",
    }


def seconds(function) -> float:
    begun = time.perf_counter()
    function()
    return time.perf_counter() - begun


def peak_memory() -> float:
    """Returns the peak of the process's memory so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def count_calls(model) -> list[int]:
    """Counts the Python calls of the model: each is a trace where steps are compiled."""
    calls, original = [0], model.call

    def counted(*args, **kwargs):
        calls[0] += 1
        return original(*args, **kwargs)

    model.call = counted
    return calls


def matrix_product(keras):
    matrix = keras.ops.ones((SIDE, SIDE), "float32")
    if keras.backend.backend() == "jax":
        import jax

        compiled = jax.jit(lambda a: a @ a)
        return lambda: compiled(matrix).block_until_ready()
    return lambda: keras.ops.convert_to_numpy(keras.ops.matmul(matrix, matrix)[0, 0])


def random_batch(task):
    """Returns random inputs, targets and weights, and the masked slots of each level."""
    import numpy as np

    from atmorep_k.batch import input_specs

    rng = np.random.default_rng(0)
    (field,) = task.model.fields
    slots = task.masking.num_slots(field.num_tokens)
    lead = (task.batch_size, len(field.levels))
    inputs = {
        name: rng.normal(size=(task.batch_size, *shape)).astype("float32")
        for name, (shape, _) in input_specs([field], {field.name: slots}).items()
    }
    chosen = np.argsort(rng.random((*lead, field.tokens_per_level)), axis=-1)[..., :slots]
    inputs[f"{field.name}/masked_index"] = chosen.astype("int32")
    targets = rng.normal(size=(*lead, slots, field.token_values)).astype("float32")
    weights = np.ones((*lead, slots), "float32")
    return (inputs, {field.name: targets}, {field.name: weights}), slots


def forward_operations(model, batch_size: int, slots: int) -> float:
    """Counts the operations of the matrix products of one forward pass."""
    (field,) = model.fields
    tokens, dim = len(field.levels) * field.tokens_per_level, field.embed_dim
    encoder, decoder = model.templates["encoder"], model.templates["decoder"]
    # Queries, keys, values, projection: 4 dim^2; MLP: 2 ratio dim^2; scores and their use: tokens.
    block = tokens * (4 * dim**2 + 2 * encoder.mlp_ratio * dim**2 + 2 * tokens * dim)
    blocks = (encoder.num_layers + decoder.num_layers) * block
    members = model.templates["tail"].num_members
    tails = len(field.levels) * slots * dim * members * field.token_values
    return 2 * batch_size * (blocks + tails + tokens * field.token_values * dim)


if __name__ == "__main__":
    main()
