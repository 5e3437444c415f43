"""The training step of a field that joins a frozen model, against the model trained whole.

    python benchmarks/extension_step.py [--backends jax torch tensorflow] [--steps 10]

A saved, untrained vorticity model of gin/pretrain_field.gin is extended by temperature as in
gin/add_field.gin. All variants take the same random batch and the same optimiser:

* extension: couple = 'new', vorticity frozen;
* both: couple = 'both', new paths of vorticity to temperature are trained, too;
* whole: the model of `extension` with nothing frozen, the baseline of the ratios;
* alone: temperature without vorticity, for information.

Steps of the variants are timed in turns in one process per backend; medians. Memory is measured
with each variant in a process of its own: the peak above what the process held before the model was
built, after a matrix product and after the saved model was read once. On JAX, that contains what
the compiler takes; `XLA` is the compiled step's own temporary memory.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from train_step import peak_memory, seconds, temporary_memory

VARIANTS = ("extension", "both", "whole", "alone")
TARGET = {"step": 0.6, "memory": 0.7}


def main():
    arguments = parse()
    if arguments.child:
        print(json.dumps(child(arguments)))
        return
    with tempfile.TemporaryDirectory() as directory:
        saved = Path(directory) / "vorticity.keras"
        options = ["--saved", str(saved), "--batch-size", str(arguments.batch_size)]
        options += ["--steps", str(arguments.steps)]
        run(arguments.backends[0], "save", options)
        for backend in arguments.backends:
            steps = run(backend, "step", options)
            memory = {v: run(backend, v, options) for v in VARIANTS}
            print_rows(backend, arguments.batch_size, steps, memory)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backends", nargs="+", default=["jax", "torch", "tensorflow"])
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--child", choices=("save", "step", *VARIANTS), help=argparse.SUPPRESS)
    parser.add_argument("--saved", help=argparse.SUPPRESS)
    return parser.parse_args()


def run(backend: str, what: str, options: list[str]):
    command = [sys.executable, __file__, "--child", what, *options]
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    result = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    return json.loads(result.stdout.splitlines()[-1])


def print_rows(backend: str, batch_size: int, steps: dict, memory: dict) -> None:
    columns = {"step": steps, "memory": {v: memory[v]["peak"] for v in VARIANTS}}
    units = {"step": "8.3f} s", "memory": "7.0f} MB", "xla": "7.0f} MB"}
    if memory["whole"]["xla"] is not None:
        columns["xla"] = {v: memory[v]["xla"] for v in VARIANTS}
    title = f"{backend}, batch of {batch_size}"
    print(f"{title:<24}", end="")
    print("".join(f"{'XLA' if c == 'xla' else c:>10}{'ratio':>7}" for c in columns))
    for variant in VARIANTS:
        print(f"{variant:<24}", end="")
        for name, values in columns.items():
            value = ("{:" + units[name]).format(values[variant])
            print(f"{value}{values[variant] / values['whole']:>7.2f}", end="")
        print()
    print(f"{'target of extension':<24}", end="")
    print("".join(f"{'':>10}{TARGET[c]:>7.2f}" for c in columns if c in TARGET), end="\n\n")
    sys.stdout.flush()


def child(arguments):
    import keras

    keras.utils.set_random_seed(0)
    if arguments.child == "save":
        return save(arguments.saved)
    if arguments.child == "step":
        return step_times(arguments)
    return memory_of(arguments)


def save(path: str) -> str:
    """Saves the model of vorticity as it is before training."""
    from atmorep_k import config

    model = config.load(("pretrain_field.gin",)).build().model
    model.build()
    model.save(path)
    return path


def step_times(arguments) -> dict[str, float]:
    """Returns variant -> seconds of a step."""
    tasks = {variant: prepared(variant, arguments) for variant in VARIANTS}
    steps = {v: one_step(compiled(v, task), batch) for v, (task, batch) in tasks.items()}
    for step in steps.values():
        step()
        step()
    times = {variant: [] for variant in VARIANTS}
    for _ in range(arguments.steps):
        for variant, step in steps.items():
            times[variant].append(seconds(step)[0])
    return {variant: statistics.median(found) for variant, found in times.items()}


def memory_of(arguments) -> dict[str, float | None]:
    """Returns the peak of the memory of one variant's steps and XLA's part of it, in MB."""
    from atmorep_k.backend.matrix_product import matrix_product
    from atmorep_k.saved.loading import load_model

    variant = arguments.child
    task, batch = prepared(variant, arguments)
    matrix_product()()
    # What reading a file takes (libraries, buffers) is no part of a step.
    load_model(arguments.saved)
    before = peak_memory()
    model = compiled(variant, task)
    step = one_step(model, batch)
    for _ in range(max(2, arguments.steps)):
        step()
    peak = peak_memory() - before
    return {"peak": peak, "xla": temporary_memory(model, batch)}


def prepared(variant: str, arguments):
    """Returns the training of a variant, its model not built, and the batch of its steps."""
    from atmorep_k import config

    overrides = [f"MODEL={arguments.saved}", f"BATCH_SIZE={arguments.batch_size}"]
    if variant == "both":
        overrides.append("ExtendedModel.couple=both")
    task = config.load(("add_field.gin",), overrides).build()
    batch = random_batch(task)
    if variant == "alone":
        batch = tuple(of_field(part, task.source.field.name) for part in batch)
    return task, batch


def compiled(variant: str, task):
    """Returns the model of a variant, built and compiled."""
    if variant == "alone":
        model = task.source.alone()
        model.build()
    else:
        model = task.model
        model.build()
        task.source.start(model)
    if variant == "whole":
        model.set_freeze([])
    model.compile(optimizer=task.optimizer, loss=task.loss)
    task.optimizer.build(model.trainable_variables)
    return model


def one_step(model, batch):
    return lambda: model.train_on_batch(*batch)


def random_batch(task) -> tuple[dict, dict, dict]:
    """Returns random inputs, targets and weights of all fields of a task's model."""
    import numpy as np

    from atmorep_k.batch import input_specs

    rng = np.random.default_rng(0)
    fields, size = task.model.fields, task.schedule.batch_size
    slots = {f.name: task.masking.num_slots(f.num_tokens) for f in fields}
    inputs = {
        name: rng.normal(size=(size, *shape)).astype("float32")
        for name, (shape, _) in input_specs(fields, slots).items()
    }
    targets, weights = {}, {}
    for field in fields:
        name, lead = field.name, (size, len(field.levels))
        order = np.argsort(rng.random((*lead, field.tokens_per_level)), axis=-1)
        inputs[f"{name}/masked_index"] = order[..., : slots[name]].astype("int32")
        shape = (*lead, slots[name], field.token_values)
        targets[name] = rng.normal(size=shape).astype("float32")
        weights[name] = np.ones(shape[:-1], "float32")
    return inputs, targets, weights


def of_field(arrays: dict, name: str) -> dict:
    return {key: array for key, array in arrays.items() if key.split("/")[0] == name}


if __name__ == "__main__":
    main()
