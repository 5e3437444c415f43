"""What a training takes on each device of a mesh, from shapes alone."""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import keras

from atmorep_k.backend.internals.keras import (
    all_layers,
    forget_declared,
    give_shape,
    layers_within,
    weights_of_its_own,
)
from atmorep_k.backend.weight_paths import path_in_model
from atmorep_k.batch import batch_specs
from atmorep_k.costs.tracing.step import Cost, cost
from atmorep_k.distribution.weights import dimension_to_share
from atmorep_k.distribution.weights import slots as weights_of_slots
from atmorep_k.fields import FieldSpec
from atmorep_k.model import AtmoRep
from atmorep_k.model.declared import declared
from atmorep_k.training.learning_rates import copied
from atmorep_k.training.pretraining import Pretraining


@dataclasses.dataclass(frozen=True)
class Estimate:
    """Bytes on the device that holds most, and operations of a step.

    Args:
        size: devices along the axes of samples and of the model.
        parameters: weights in total.
        trained: of these, those that are trained.
        weights: bytes of weights.
        gradients: bytes of gradients.
        slots: bytes of the optimiser's state.
        activations: bytes that a step needs beside these at once.
        batch: bytes of the samples that a device is given.
        flops: operations of a step on all devices.
        device_flops: operations of a step on one device.
        is_split: whether the axis of the model divides activations and operations.
    """

    size: tuple[int, int]
    parameters: int
    trained: int
    weights: int
    gradients: int
    slots: int
    activations: int
    batch: int
    flops: float
    device_flops: float
    is_split: bool

    @property
    def total(self) -> int:
        """All bytes on the device."""
        return self.weights + self.gradients + self.slots + self.activations + self.batch


def estimate(task: Pretraining) -> Estimate:
    """Return what a task takes on each device of its mesh; nothing is allocated.

    Raises:
        UserError: if its mesh does not fit its model or batch.
    """
    mesh, size = task.mesh, mesh_size(task.mesh)
    rules, places = {}, {}
    if mesh is not None:
        mesh.check_batch(task.schedule.batch_size, size)
        rules, places = mesh.rules(task.model, size), mesh.places(task.model, size)
    model = declared(task.model)
    shapes = {path_in_model(w.path): tuple(w.shape) for w in model.weights}
    trained = {path_in_model(w.path) for w in model.trainable_variables}
    local = {path: _local(shape, rules.get(path), mesh, size) for path, shape in shapes.items()}
    slots = _slots(task, model, rules, size)
    rows = task.schedule.batch_size // size[0]
    step, is_split = _cost(task, local if local != shapes else None, rows)
    share = _fullest(places, {f.name: _work(task.model, f) for f in task.model.fields})
    total = step.flops
    if is_split and local != shapes:
        total = cost(model, task.loss, task.masking, rows).flops
    return Estimate(
        size=size,
        parameters=sum(map(math.prod, shapes.values())),
        trained=sum(math.prod(shapes[path]) for path in trained),
        weights=_most(local, places),
        gradients=_most({path: local[path] for path in trained}, places),
        slots=_most(slots, places),
        activations=int(share * step.activations),
        batch=rows * sample_bytes(task),
        flops=size[0] * total,
        device_flops=share * step.flops,
        is_split=is_split,
    )


def mesh_size(mesh: Any) -> tuple[int, int]:
    """Return the devices along the axes of a mesh, 1 where they are as many as there are."""
    if mesh is None:
        return 1, 1
    samples, model = (1 if n == -1 else n for n in mesh.shape)
    return samples, model


def sample_bytes(task: Pretraining) -> int:
    """Return the bytes of a sample: inputs, targets and weights."""
    fields = task.model.fields
    slots = {f.name: task.masking.num_slots(f.num_tokens) for f in fields if f.predicted}
    parts = batch_specs(fields, slots)
    return sum(4 * math.prod(shape) for part in parts for shape, _ in part.values())


def _local(shape, axes, mesh, size) -> tuple[int, ...]:
    """Return the shape of a device's block of an array."""
    if axes is None:
        return shape
    sizes = dict(zip(mesh.axes, size, strict=True))
    return tuple(n // sizes.get(a, 1) for n, a in zip(shape, axes, strict=True))


def _slots(
    task: Pretraining, model: AtmoRep, rules: dict[str, tuple], size: tuple[int, int]
) -> dict[str, tuple[int, ...]]:
    """Return the shape of each of the optimiser's arrays on a device, by a path of its own."""
    mesh, weights, kind = task.mesh, model.trainable_variables, type(task.optimizer)
    optimizer = copied(task.optimizer, type(kind.__name__, (_ByIdentity, kind), {}))
    with keras.StatelessScope():
        optimizer.build(weights)
        forget_declared()
    owners = {id(slot): path_in_model(weight.path) for slot, weight in weights_of_slots(optimizer)}
    shapes = {}
    for variable in optimizer.variables:
        owner = owners.get(id(variable), "")
        axes = rules.get(owner)
        shape = _local(tuple(variable.shape), axes, mesh, size)
        if owner and mesh is not None and mesh.shard_optimizer:
            shape = _shared(shape, axes or (), size[0])
        shapes[f"{owner}/{variable.path}"] = shape
    return shapes


class _ByIdentity:
    """Mixin that lets an optimizer tell weights apart that have no values."""

    def _var_key(self, variable):
        return id(variable)


def _shared(shape, axes, number) -> tuple[int, ...]:
    """Return what a device has of a slot that is split over the samples, too."""
    shared = dimension_to_share(shape, axes, number)
    return tuple(n // number if place == shared else n for place, n in enumerate(shape))


def _most(shapes: Mapping[str, Sequence[int]], places: dict[str, int]) -> int:
    """Return the bytes on the place of a field that holds most; what has no field is on all."""
    held = dict.fromkeys([0, *places.values()], 0)
    for path, shape in shapes.items():
        field = path.split("/")[1] if path.count("/") else ""
        for place in [places[field]] if field in places else held:
            held[place] += 4 * math.prod(shape)
    return max(held.values())


def _fullest(places: dict[str, int], work: dict[str, float]) -> float:
    """Return the share of the work that is done on the place with most of it."""
    done = dict.fromkeys(places.values(), 0.0)
    for field, place in places.items():
        done[place] += work[field]
    return max(done.values(), default=1.0) / (sum(work.values()) if done else 1.0)


def _work(model: AtmoRep, field: FieldSpec) -> float:
    """Return what a field's layers have to do, relative to those of other fields."""
    roles = ("encoder", "decoder") if field.predicted else ("encoder",)
    layers = sum(model.templates.of(role, field.name).num_layers for role in roles)
    tokens = len(field.levels) * field.tokens_per_level
    return layers * tokens * field.embed_dim * (8 * field.embed_dim + 2 * tokens)


def _cost(
    task: Pretraining, local: dict[str, tuple[int, ...]] | None, rows: int
) -> tuple[Cost, bool]:
    """Return the `Cost` of a device's step, and whether the split of weights divides it."""
    model = declared(task.model)
    if local is not None:
        try:
            return cost(_cut(model, local), task.loss, task.masking, rows), True
        except Exception:
            # A layer that cannot be run on its part of the weights alone.
            model = declared(task.model)
    return cost(model, task.loss, task.masking, rows), local is None


def _cut(model: AtmoRep, local: dict[str, tuple[int, ...]]) -> AtmoRep:
    """Give a declared model the shapes that its weights have on a device.

    Where heads do not divide, they stay whole, and with them the other heads and maps beside them.
    """
    whole = {id(w): tuple(w.shape) for w in model.weights}
    for weight in model.weights:
        give_shape(weight, local[path_in_model(weight.path)])
    for layer in all_layers(model):
        layer.input_spec = None  # what a layer expects is a whole width
        heads = [part for part in layers_within(layer) if hasattr(part, "num_heads")]
        if any(part.num_heads % _columns(part, whole) for part in heads):
            for weight in _own((*layers_within(layer), *chain(*map(layers_within, heads)))):
                give_shape(weight, whole[id(weight)])
        for part in heads:
            part.num_heads //= _columns(part, whole)
    return model


def _columns(heads, whole: dict[int, tuple[int, ...]]) -> int:
    """Returns over how many devices the columns of maps into heads are split."""
    own = _own(layers_within(heads))
    return max((whole[id(w)][-1] // w.shape[-1] for w in own), default=1)


def _own(layers: Iterable) -> list:
    return [w for layer in layers for w in weights_of_its_own(layer)]
