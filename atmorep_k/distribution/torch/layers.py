"""Layers whose weights PyTorch splits: DTensor within them, plain tensors between them."""

import functools
from collections.abc import Callable

import keras
import torch
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor
from torch.distributed.tensor.experimental import register_sharding

from atmorep_k.backend.internals.keras import all_layers, held_value, put_value
from atmorep_k.backend.internals.torch import attention_on_a_cpu
from atmorep_k.backend.replicas import is_random_state
from atmorep_k.distribution.torch.split import Split


class SplitLayers:
    """Parts of a model that compute on values split over the axis of the model.

    What enters the outermost layer of such a part becomes a DTensor, whole on each device, and
    what leaves it becomes plain and whole again: other parts never meet a DTensor. In between each
    device computes with its part of the weights, and DTensor adds the exchange that is needed.

    Args:
        devices: the axis of the model.
    """

    def __init__(self, devices: DeviceMesh):
        self._devices = devices
        self._depth = 0
        self._layers: list[keras.layers.Layer] = []
        _teach_attention()

    def add(self, part: keras.layers.Layer, splits: Callable[[keras.Variable], Split]) -> None:
        """Split the weights of a part and mark its borders.

        All of its weights become DTensors, the whole ones too, so that their gradients are summed.

        Args:
            part: built.
            splits: returns how a weight is split.
        """
        for variable in part.variables:
            if not is_random_state(variable):
                self._distribute(variable, splits(variable).model)
        # Every layer is wrapped, as any of them may be called first; the depth tells which one is
        # outermost. Set past Keras's `__setattr__`, which would track the partial.
        for layer in all_layers(part):
            layer.__dict__["call"] = functools.partial(self._call, layer.call)
            self._layers.append(layer)

    def _distribute(self, variable, dimension) -> None:
        placement = Replicate() if dimension is None else Shard(dimension)
        # Each process cuts its part out of the value, which is the same everywhere.
        value = distribute_tensor(
            held_value(variable).detach(), self._devices, [placement], src_data_rank=None
        )
        put_value(variable, torch.nn.Parameter(value, requires_grad=variable.trainable))

    def _call(self, call, *args, **kwargs):
        if self._depth:
            args, kwargs = _map(_summed, (args, kwargs))
            return _map(_summed, call(*args, **kwargs))
        args, kwargs = _map(self._enter, (args, kwargs))
        self._depth += 1
        try:
            result = call(*args, **kwargs)
        finally:
            self._depth -= 1
        return _map(_leave, result)

    def _enter(self, value):
        return DTensor.from_local(value, self._devices, [Replicate()], run_check=False)

    def clear(self) -> None:
        """Makes all values whole and plain again; all processes call it."""
        for layer in self._layers:
            layer.__dict__.pop("call", None)
            for variable in layer.variables:
                value = held_value(variable).detach()
                if isinstance(value, DTensor):
                    # `full_tensor` is an exchange: every process must reach it for the same weight.
                    value = torch.nn.Parameter(value.full_tensor(), variable.trainable)
                    put_value(variable, value)
        self._layers = []


def held(variable: keras.Variable) -> torch.Tensor:
    """Returns what this process holds of a variable, without a gradient."""
    value = held_value(variable).detach()
    return value.to_local() if isinstance(value, DTensor) else value


def _map(function, structure):
    """Applies a function to all tensors."""
    return keras.tree.map_structure(
        lambda value: function(value) if isinstance(value, torch.Tensor) else value, structure
    )


def _summed(value):
    """Return a value with its partial sums added.

    DTensor adds lazily: each of several readers would exchange the same sum once more.
    """
    if isinstance(value, DTensor) and value.placements[0].is_partial():
        return value.redistribute(placements=[Replicate()])
    return value


def _leave(value):
    if not isinstance(value, DTensor):
        return value
    # The gradient that comes back is whole on each device already; as partial sums it would be
    # counted once for each device.
    return value.redistribute(placements=[Replicate()]).to_local(grad_placements=[Replicate()])


@functools.cache
def _teach_attention() -> None:
    """Tell DTensor that PyTorch's fused attention on a CPU treats each head separately.

    PyTorch brings such rules for the kernels of GPUs only.
    """
    forward, backward = (operator.default for operator in attention_on_a_cpu())
    # Whole, or split by samples or heads: (batch, head, token, channel).
    placements = (Replicate(), Shard(0), Shard(1))

    @register_sharding(forward)
    def _(query, key, value, *others, **options):
        return [([p] * 2, [p] * 3 + [None] * len(others)) for p in placements]

    @register_sharding(backward)
    def _(gradient, query, key, value, result, logsumexp, *others, **options):
        return [([p] * 3, [p] * 6 + [None] * len(others)) for p in placements]
