"""One training step on each backend, against the machine's own matrix-product rate.

    python benchmarks/train_step.py [--backends jax torch tensorflow] [--steps 10]

The configuration is benchmarks/train_step.gin with inputs that stay the same, four fifths of the
tokens hidden. `visible` is the same model with `AtmoRep.encode = 'visible'`; `apart` with 'apart'
and a decoder that attends to the encoder alone. Each variant runs in a process of its own, with the
steps and a product of two square float32 matrices timed in turns.

`share` is the step's operations per second divided by the product's; operations are those of matrix
products alone, three times the forward pass (once forward, twice backward). `processor` is the time
of all cores together and `by proc.` the share by it: where other work runs on the machine, most of
all with one core (`taskset -c 0 python ...`), it is the one to read. `memory` is the peak of the
process above what it held before the model was built, the compiler's own included; `compiled` is
the temporary memory of the compiled step by XLA's account. `traces` counts Python calls of the
model over all steps.

With `--pieces` a second table tells where the time of all cores goes in the full step: its pieces,
forward and backward, each compiled by itself on the same shapes (benchmarks/step_pieces.py).
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks.timing import seconds

VARIANTS = {"full": (), "visible": ("AtmoRep.encode='visible'",)}

VARIANTS["apart"] = ("AtmoRep.encode='apart'", "UNetDecoder.cross_ratio=1.0")

HEADER = ("backend", "variant", "step", "of full", "processor", "of full", "GFLOP/s", "product")

HEADER += ("share", "by proc.", "memory", "compiled", "traces")


def main():
    arguments = parse()
    if arguments.child:
        print(json.dumps(measure(arguments)))
        return
    print(*(f"{title:>10}" for title in HEADER), sep="")
    pieces = {}
    for backend in arguments.backends:
        full = None
        for variant in arguments.variants:
            row = run(backend, variant, arguments)
            full = full or row
            print_row(backend, variant, row, full)
            if "pieces" in row:
                pieces[backend] = row["pieces"]
    for backend, times in pieces.items():
        listed = ", ".join(f"{name} {1e3 * seconds_:.0f}" for name, seconds_ in times.items())
        print(f"\n{backend}, ms of all cores: {listed}")


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backends", nargs="+", default=["jax", "torch", "tensorflow"])
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=VARIANTS)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--config", default=str(Path(__file__).with_suffix(".gin")))
    parser.add_argument("--set", action="append", default=[], help="NAME=VALUE, in all variants")
    parser.add_argument("--pieces", action="store_true", help="tell where the time goes")
    parser.add_argument("--child", choices=VARIANTS, help=argparse.SUPPRESS)
    return parser.parse_args()


def run(backend: str, variant: str, arguments) -> dict:
    command = [sys.executable, __file__, "--child", variant, "--steps", str(arguments.steps)]
    command += ["--config", arguments.config]
    for binding in arguments.set:
        command += ["--set", binding]
    if arguments.pieces and variant == "full":
        command.append("--pieces")
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    result = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    return json.loads(result.stdout.splitlines()[-1])


def print_row(backend: str, variant: str, row: dict, full: dict) -> None:
    compiled = f"{row['compiled']:.0f} MB" if row["compiled"] else ""
    values = ()
    for time_ in ("step", "processor"):
        values += (f"{row[time_]:.3f} s", f"{row[time_] / full[time_]:.2f}")
    values += (f"{row['rate']:.1f}", f"{row['product']:.1f}", f"{row['share']:.2f}")
    values += (f"{row['processor_share']:.2f}", f"{row['memory']:.0f} MB", compiled, row["traces"])
    print(*(f"{value:>10}" for value in (backend, variant, *values)), sep="", flush=True)


def measure(arguments) -> dict:
    import keras

    from atmorep_k import config
    from atmorep_k.backend.matrix_product import FLOPS, matrix_product

    keras.utils.set_random_seed(0)
    overrides = [*arguments.set, *VARIANTS[arguments.child]]
    task = config.load([arguments.config], overrides).build()
    batch, slots = random_batch(task)
    product = matrix_product()
    product()
    before = peak_memory()
    model = compiled_model(task)
    traces = count_calls(model)
    for _ in range(2):
        model.train_on_batch(*batch)
    steps, products = [], []
    for _ in range(arguments.steps):
        steps.append(seconds(lambda: model.train_on_batch(*batch)))
        products.append(seconds(product))
    step, processor = (statistics.median(times) for times in zip(*steps, strict=True))
    square, square_processor = (statistics.median(times) for times in zip(*products, strict=True))
    operations = 3 * forward_operations(model, task.schedule.batch_size, slots) / 1e9
    product = FLOPS / 1e9
    result = {"step": step, "processor": processor, "rate": operations / step}
    result |= {"product": product / square, "share": operations / step * square / product}
    result["processor_share"] = operations / processor * square_processor / product
    result |= {"memory": peak_memory() - before}
    result["traces"] = traces[0] if keras.backend.backend() != "torch" else "eager"
    result["compiled"] = temporary_memory(model, batch)
    if arguments.pieces:
        from step_pieces import piece_times

        times = piece_times(task, batch, arguments.steps)
        result["pieces"] = {**times, "rest": processor - sum(times.values()), "step": processor}
    return result


def compiled_model(task):
    """Returns the task's model, built and compiled, its optimiser built."""
    model = task.model
    model.build()
    model.compile(optimizer=task.optimizer, loss=task.loss)
    task.optimizer.build(model.trainable_variables)
    return model


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


def random_batch(task):
    """Returns random inputs, targets and weights, and the masked slots of each level."""
    import numpy as np

    from atmorep_k.batch import input_specs

    rng = np.random.default_rng(0)
    (field,) = task.model.fields
    slots = task.masking.num_slots(field.num_tokens)
    lead = (task.schedule.batch_size, len(field.levels))
    inputs = {
        name: rng.normal(size=(task.schedule.batch_size, *shape)).astype("float32")
        for name, (shape, _) in input_specs([field], {field.name: slots}).items()
    }
    chosen = np.argsort(rng.random((*lead, field.tokens_per_level)), axis=-1)[..., :slots]
    inputs[f"{field.name}/masked_index"] = chosen.astype("int32")
    targets = rng.normal(size=(*lead, slots, field.token_values)).astype("float32")
    weights = np.ones((*lead, slots), "float32")
    return (inputs, {field.name: targets}, {field.name: weights}), slots


def temporary_memory(model, batch) -> float | None:
    """Returns the MB that XLA says the compiled step takes besides its arguments; None elsewhere.

    The step is compiled once more, as Keras does it.
    """
    import keras

    if keras.backend.backend() != "jax":
        return None
    import jax

    groups = (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )
    state = tuple([v.value for v in group] for group in groups)
    step = jax.jit(model.train_step, donate_argnums=0).lower(state, batch).compile()
    return step.memory_analysis().temp_size_in_bytes / 2**20


def forward_operations(model, batch_size: int, slots: int) -> float:
    """Counts the operations of the matrix products of one forward pass."""
    (field,) = model.fields
    dim, levels = field.embed_dim, len(field.levels)
    encoder, decoder = model.templates["encoder"], model.templates["decoder"]
    tokens = levels * field.tokens_per_level
    encoded = tokens if model.encode == "all" else tokens - levels * slots
    decoded = levels * slots if model.encode == "apart" else tokens
    share = decoder.cross_ratio
    ratios = [part.block.layer.mlp_ratio for part in (encoder, decoder)]
    read = share * encoded + (1 - share) * decoded
    blocks = encoder.num_layers * block_operations(encoded, encoded, dim, ratios[0])
    blocks += decoder.num_layers * block_operations(decoded, read, dim, ratios[1])
    members = model.templates["tail"].num_members
    tails = levels * slots * dim * members * field.token_values
    return 2 * batch_size * (blocks + tails + tokens * field.token_values * dim)


def block_operations(tokens: int, read: float, dim: int, mlp_ratio: float) -> float:
    """Counts the multiplications of a block whose tokens attend to `read` others each.

    Queries, keys, values, projection: 4 dim^2 (keys and values of a context count as of the tokens
    themselves); MLP: 2 ratio dim^2; scores and their use: 2 read dim.
    """
    return tokens * (4 * dim**2 + 2 * mlp_ratio * dim**2 + 2 * read * dim)


if __name__ == "__main__":
    main()
