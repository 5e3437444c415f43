"""A mesh on PyTorch: a process for each device, process groups for samples, DTensor for weights."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import numpy as np
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor.experimental import implicit_replication

from atmorep_k.backend import replicas
from atmorep_k.backend.internals.keras import all_layers, held_value
from atmorep_k.backend.internals.torch import follow_values
from atmorep_k.backend.replicas import SEED_STEP, is_random_state
from atmorep_k.backend.weight_paths import path_in_model
from atmorep_k.distribution.engine import Block, Engine
from atmorep_k.distribution.torch import group
from atmorep_k.distribution.torch.layers import SplitLayers, held
from atmorep_k.distribution.torch.optimizer import ELEMENTWISE, ShardedSlots, spread_optimizer
from atmorep_k.distribution.torch.split import Split
from atmorep_k.distribution.weights import check_heads, slots
from atmorep_k.errors import UserError


class TorchEngine(Engine):
    """Each process has its rows of a batch and its part of the weights; gradients are summed.

    Along the axis of samples values are plain tensors; along that of the model, DTensors within
    the layers whose weights are split (`SplitLayers`).
    """

    def start(self) -> None:
        """Joins the processes; each takes one device."""
        self.process, self.num_processes = group.join_group(self.mesh)
        self.size = self.mesh.resolved(self.num_processes)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self._devices = init_device_mesh(device, self.size, mesh_dim_names=self.mesh.axes)
        self._groups = tuple(self._devices.get_group(axis) for axis in self.mesh.axes)
        self._place = divmod(self.process, self.size[1])
        self.part = (self._place[0], self.size[0])
        self._splits: dict[int, Split] = {}
        self._layers = SplitLayers(self._devices[self.mesh.axes[1]])

    def check(self, model: Any, optimizer: Any, rules: dict[str, tuple]) -> None:
        """Refuses what PyTorch cannot do; keeps the layout of weights."""
        if self.mesh.fields is not None:
            raise UserError(
                "on PyTorch fields cannot be placed on devices (Mesh.fields); their weights can be "
                "split: leave Mesh.fields out, or set KERAS_BACKEND=tensorflow."
            )
        samples = self.mesh.axes[0]
        for path, axes in rules.items():
            if samples in axes:
                raise UserError(
                    f"Mesh.layout splits {path!r} over the axis of samples, {samples!r}; on "
                    f"PyTorch weights are split over {self.mesh.axes[1]!r} and slots of the "
                    f"optimiser also over samples (Mesh.shard_optimizer)."
                )
        if rules:
            check_heads(model, rules, self.size[1])
        if rules or self.mesh.shard_optimizer:
            _check_optimizer(optimizer, model)
        self._rules = rules

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        """Lets losses be those of the whole batch, and plain values meet split ones."""
        with group.told(), replicas.summing(self.size[0], self._sum), implicit_replication():
            yield

    def _sum(self, value):
        # A copy, as `all_reduce` works in place.
        value = value.detach().clone()
        dist.all_reduce(value, group=self._groups[0])
        return value

    def distribute(self, model: Any) -> None:
        """Splits weights and slots, lets the optimiser sum gradients."""
        for variable in model.variables:
            # All start with the weights of the first process, whatever each has drawn itself.
            dist.broadcast(held_value(variable).detach(), 0)
            self._splits[id(variable)] = self._split(variable)
        for part in (p for n in model.networks.values() for p in n.parts().values()):
            if any(self._splits[id(v)].model is not None for v in part.variables):
                self._layers.add(part, lambda variable: self._splits[id(variable)])
        follow_values(all_layers(model))
        self._spread(model.optimizer)
        self._seeds = {id(v) for v in model.variables if is_random_state(v)}
        for variable in model.variables:
            if id(variable) in self._seeds:
                self._set(variable, keras.ops.convert_to_numpy(held_value(variable)))

    def _split(self, variable) -> Split:
        axes = self._rules.get(path_in_model(variable.path), ())
        name = self.mesh.axes[1]
        return Split(tuple(variable.shape), axes.index(name) if name in axes else None)

    def _spread(self, optimizer) -> None:
        shares = dict(self._splits)
        # Weights stay whole along the samples; only their slots and updates are sharded.
        if self.mesh.shard_optimizer and self.size[0] > 1:
            shares = {key: split.shared(self.size) for key, split in shares.items()}
        spread_optimizer(optimizer, ShardedSlots(self._groups, self.size, self._place, shares))
        self._splits |= {id(slot): shares[id(weight)] for slot, weight in slots(optimizer)}

    def any(self, flag: bool) -> bool:
        """Returns whether the flag is set in any process."""
        value = torch.tensor(int(flag))
        with group.told():
            dist.all_reduce(value, dist.ReduceOp.MAX)
        return bool(value)

    def pieces(self, variable: Any) -> list[tuple[Block, np.ndarray]]:
        """Returns the block that this process holds, if it is the first that does."""
        split = self._splits.get(id(variable), Split(tuple(variable.shape)))
        if not split.is_first(self._place):
            return []
        value = keras.ops.convert_to_numpy(held(variable))
        return [(split.block(self.size, self._place), value)]

    def fill(self, variable: Any, read: Callable[[Block], np.ndarray]) -> None:
        """Reads what this process holds."""
        split = self._splits.get(id(variable), Split(tuple(variable.shape)))
        self._set(variable, read(split.block(self.size, self._place)))

    def _set(self, variable, value: np.ndarray) -> None:
        if id(variable) in self._seeds:
            # Each replica draws its own dropout; processes that share its rows draw the same.
            value = value.astype("int64") + SEED_STEP * self._place[0] * np.array([1, 0])
            value %= 2**31
        tensor = keras.ops.convert_to_tensor(value, dtype=variable.dtype)
        with torch.no_grad():
            held(variable).copy_(tensor)

    def collect(self, model: Any) -> None:
        """Makes all weights whole in every process, and the model one of a single device."""
        with group.told():
            self._layers.clear()
        follow_values(all_layers(model))
        model.optimizer = None
        model.train_function = model.test_function = model.predict_function = None

    def held_bytes(self, variables: Iterable) -> int:
        """Returns the bytes that this process holds, as each other does."""
        return sum(held(v).numel() * held(v).element_size() for v in variables)

    def barrier(self) -> None:
        """Waits for all processes."""
        self.any(False)

    def stop(self) -> None:
        """Leave the other processes, after all of them have come here."""
        self.barrier()
        dist.destroy_process_group()


def _check_optimizer(optimizer, model) -> None:
    kinds = tuple(getattr(keras.optimizers, name) for name in ELEMENTWISE)
    if not isinstance(optimizer, kinds):
        raise UserError(
            f"on PyTorch the optimiser {type(optimizer).__name__} cannot update parts of weights; "
            f"choose {', '.join(ELEMENTWISE[:-1])} or {ELEMENTWISE[-1]}, or a Mesh that splits "
            f"samples only."
        )
    if model.dtype_policy.name == "mixed_float16":
        raise UserError(
            "on PyTorch mixed_float16 works only with a Mesh that splits samples: choose "
            "mixed_bfloat16, which needs no scaling of the loss."
        )
