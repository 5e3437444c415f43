"""What a training would take: weights, memory, bytes, rates, without training."""

import math
import time

import keras

from atmorep_k.batch import TOKEN_INFO
from atmorep_k.console import size
from atmorep_k.costs.training import Estimate, estimate, mesh_size
from atmorep_k.errors import UserError
from atmorep_k.model import AtmoRep
from atmorep_k.training.pretraining import Pretraining

_MEASURED_STEPS = 3


def dry_run(task: Pretraining) -> None:
    """Print size and memory of a task's model and, where its store can be read, its rates."""
    import click

    for line in size_lines(task):
        click.echo(line)
    if math.prod(mesh_size(task.mesh)) > 1:
        return  # rates would be those of this machine
    try:
        task.dataset.open(task.model.fields, task.model.normalizers)
    except UserError as error:
        click.echo(f"loader and step  not measured: {error}")
        return
    click.echo(_loader_line(task))
    click.echo(_step_line(task))


def size_lines(task: Pretraining) -> list[str]:
    """Return lines on weights, memory per device, batch and operations, from shapes alone."""
    found = estimate(task)
    lines = [f"model            {field}" for field in task.model.fields]
    lines.append(f"parameters       {found.parameters:,}")
    unused = _unread_by_the_original(task.model)
    if unused:
        # The original stores one more token-information net, shared by all fields, and never
        # reads it once the fields have their own (reference: its `embed_token_info`).
        lines.append(
            f"                 {found.parameters + unused:,} as the original counts: its files "
            f"hold {unused} more, a shared token-information net that nothing reads"
        )
    if found.trained < found.parameters:
        lines.append(f"trained          {found.trained:,}, the rest are frozen")
    lines += _mesh_lines(task.mesh, found)
    lines.append(f"memory           {size(found.total)}, made up of")
    lines += [f"  {word:<15}{size(getattr(found, name))}" for name, word in _PARTS.items()]
    return [*lines, *_flops_lines(task, found)]


_PARTS = {
    "weights": "weights",
    "gradients": "gradients",
    "slots": "optimiser",
    "activations": "activations",
    "batch": "batch",
}


def _mesh_lines(mesh, found: Estimate) -> list[str]:
    devices, backend = math.prod(found.size), keras.backend.backend()
    if mesh is None or (devices == 1 and -1 not in mesh.shape):
        return [f"devices          1, with {backend}"]
    axes = " x ".join(f"{n} ({axis})" for n, axis in zip(found.size, mesh.axes, strict=True))
    lines = [f"devices          {axes}, with {backend}; bytes are those of the fullest device"]
    if -1 in mesh.shape:
        lines.append("                 -1 (as many as there are) counts as 1: give numbers to plan")
    if not found.is_split:
        lines.append(
            "                 activations and operations are not divided by the second axis: "
            "a layer cannot be traced in parts"
        )
    return lines


def _flops_lines(task: Pretraining, found: Estimate) -> list[str]:
    flops = f"{size(found.flops, 'FLOP')} a step of {task.schedule.batch_size} samples"
    if math.prod(found.size) > 1:
        flops += f", {size(found.device_flops, 'FLOP')} on a device"
    return [f"operations       {flops}"]


def _unread_by_the_original(model: AtmoRep) -> int:
    net = model.templates.of("token_info", model.fields[0].name)
    is_original = getattr(net, "features", None) == "raw"
    return (len(TOKEN_INFO) + 1) * net.embed_dim if is_original else 0


def _loader_line(task: Pretraining) -> str:
    batches = task.batches().read(0, _MEASURED_STEPS + 1)
    next(batches)
    begun = time.perf_counter()
    read = sum(1 for _ in batches) * task.schedule.batch_size
    return f"loader           {read / (time.perf_counter() - begun):.1f} samples/s"


def _step_line(task: Pretraining) -> str:
    task.prepare()
    batches = task.batches().read(0, 2)
    x, y, weights = next(batches)
    batches.close()
    begun = time.perf_counter()
    task.model.train_on_batch(x, y, weights)
    compiled = time.perf_counter()
    for _ in range(_MEASURED_STEPS):
        task.model.train_on_batch(x, y, weights)
    step = (time.perf_counter() - compiled) / _MEASURED_STEPS
    schedule = task.schedule
    total = step * schedule.steps / 60
    return (
        f"step             {step:.3g} s, {schedule.batch_size / step:.1f} samples/s after "
        f"{compiled - begun:.0f} s of compiling: about {total:.1f} min for {schedule.steps} steps"
    )
