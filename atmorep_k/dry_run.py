"""What a training would take: weights, memory, bytes, rates, without training."""

import itertools
import math
import time

import numpy as np

from atmorep_k.batch import TOKEN_INFO, input_specs
from atmorep_k.declared import count_parameters, declared
from atmorep_k.errors import UserError
from atmorep_k.model import AtmoRep

_MEASURED_STEPS = 3


def dry_run(task) -> None:
    """Prints size and memory of a task's model and, where its store can be read, its rates."""
    import click

    for line in size_lines(task):
        click.echo(line)
    try:
        task.dataset.open(task.model.fields, task.model.normalizers)
    except UserError as error:
        click.echo(f"loader and step  not measured: {error}")
        return
    click.echo(_loader_line(task))
    click.echo(_step_line(task))


def size_lines(task) -> list[str]:
    """Returns lines on weights, memory and batch bytes, computed from shapes alone."""
    model = task.model
    parameters = count_parameters(model)
    lines = [f"model            {field}" for field in model.fields]
    lines.append(f"parameters       {parameters:,}")
    unused = _unread_by_the_original(model)
    if unused:
        # The original stores one more token-information net, shared by all fields, and never
        # reads it once the fields have their own (reference: its `embed_token_info`).
        lines.append(
            f"                 {parameters + unused:,} as the original counts: its files hold "
            f"{unused} more, a shared token-information net that nothing reads"
        )
    trained = sum(math.prod(w.shape) for w in declared(model).trainable_variables)
    if trained < parameters:
        lines.append(f"trained          {trained:,}, the others are frozen")
    # float32 weights; of those that are trained gradients and the two slots of AdamW
    weights = 4 * (parameters + 3 * trained)
    activations = activation_bytes(model, task.batch_size)
    lines.append(
        f"memory           {_size(weights + activations)} (weights, gradients and AdamW "
        f"{_size(weights)}; activations about {_size(activations)})"
    )
    lines.append(f"batch            {_size(batch_bytes(task))} for {task.batch_size} samples")
    return lines


def _unread_by_the_original(model: AtmoRep) -> int:
    net = model.templates.of("token_info", model.fields[0].name)
    is_original = getattr(net, "features", None) == "raw"
    return (len(TOKEN_INFO) + 1) * net.embed_dim if is_original else 0


def batch_bytes(task) -> int:
    """Returns the bytes of a batch: inputs, targets and weights."""
    predicted = [f for f in task.model.fields if f.predicted]
    slots = {f.name: task.masking.num_slots(f.num_tokens) for f in predicted}
    values = sum(np.prod(shape) for shape, _ in input_specs(task.model.fields, slots).values())
    for field in predicted:
        values += len(field.levels) * slots[field.name] * (field.token_values + 1)
    return int(4 * task.batch_size * values)


def activation_bytes(model: AtmoRep, batch_size: int) -> int:
    """Estimates the activations that a training step keeps, in bytes.

    Counted per block and token: norms, queries, keys, values, heads, projection and the two layers
    of the MLP, about 14 times the channels, and the scores twice (before and after the softmax);
    of each coupling its queries and heads, the other field's keys and values, and the scores.
    """
    total = 0
    for field in model.fields:
        tokens = len(field.levels) * field.tokens_per_level
        for role in ("encoder", "decoder") if field.predicted else ("encoder",):
            part = model.templates.of(role, field.name)
            per_block = tokens * 14 * field.embed_dim + 2 * part.num_heads * tokens**2
            total += part.num_layers * per_block
        total += model.templates.of("encoder", field.name).num_layers * _of_couplings(model, field)
    return 4 * batch_size * total


def _of_couplings(model: AtmoRep, field) -> int:
    heads = getattr(model.templates.of("coupler", field.name), "num_heads", 0)
    encoder = model.templates.of("encoder", field.name)
    width = heads * field.embed_dim // encoder.num_heads
    tokens, total = len(field.levels) * field.tokens_per_level, 0
    for other in (f for f in model.fields if f.name in field.couplings):
        others = len(other.levels) * other.tokens_per_level
        total += 2 * width * (tokens + others) + tokens * field.embed_dim
        total += 2 * heads * tokens * others
    return total


def _size(number: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} TB"


def _loader_line(task) -> str:
    batches = task.dataset.batches(
        "train", task.batch_size, task.masking, task.seed, num_steps=_MEASURED_STEPS + 1
    )
    next(batches)
    begun = time.perf_counter()
    read = sum(1 for _ in batches) * task.batch_size
    return f"loader           {read / (time.perf_counter() - begun):.1f} samples/s"


def _step_line(task) -> str:
    task.prepare()
    batches = task.dataset.batches("train", task.batch_size, task.masking, task.seed, num_steps=2)
    (x, y, weights) = next(itertools.islice(batches, 1))
    batches.close()
    begun = time.perf_counter()
    task.model.train_on_batch(x, y, weights)
    compiled = time.perf_counter()
    for _ in range(_MEASURED_STEPS):
        task.model.train_on_batch(x, y, weights)
    step = (time.perf_counter() - compiled) / _MEASURED_STEPS
    total = step * task.steps / 60
    return (
        f"step             {step:.3g} s, {task.batch_size / step:.1f} samples/s after "
        f"{compiled - begun:.0f} s of compiling: about {total:.1f} min for {task.steps} steps"
    )
