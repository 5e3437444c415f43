"""A step run by PyTorch on tensors without values."""

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import keras
import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

from atmorep_k.backend.internals.torch import (
    FakeTensorMode,
    TorchDispatchMode,
    attention_on_a_cpu,
    key_of_storage,
    read_of_one_number,
)

_ITEM = read_of_one_number()


def cost_of_step(
    loss: Callable, weights: Sequence, others: Sequence, batch: Any
) -> tuple[float, int]:
    """Return the operations of a step and the bytes it needs at once beside weights and gradients.

    Its own kernels run, fused attention among them, but on tensors that have shapes only.

    Args:
        loss: function of the values of weights, those of other variables, and a batch.
        weights: shape and dtype (`Spec`) of each weight that is trained.
        others: likewise of the other variables.
        batch: pytree of such leaves.
    """
    operations = FlopCounterMode(display=False, custom_mapping=_attention_on_a_cpu())
    memory = _Memory()
    with FakeTensorMode():
        values = [_tensor(w).requires_grad_() for w in weights]
        state = [_tensor(v) for v in others]
        data = keras.tree.map_structure(_tensor, batch)
        with operations, memory:
            gradients = torch.autograd.grad(loss(values, state, data), values, allow_unused=True)
        peak = memory.peak([g for g in gradients if g is not None])
    return float(operations.get_total_flops()), peak


def _tensor(spec):
    return torch.zeros(spec.shape, dtype=getattr(torch, spec.dtype))


class _Memory(TorchDispatchMode):
    """Notes when storages of tensors come and go."""

    def __init__(self):
        super().__init__()
        self.events: list[tuple[int, int]] = []
        self.known: dict[int, int] = {}

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function is _ITEM:
            return 0  # the seed of a dropout, which has no value here
        result = function(*args, **(kwargs or {}))
        for tensor in keras.tree.flatten(result):
            if isinstance(tensor, torch.Tensor):
                self._note(tensor)
        return result

    def _note(self, tensor) -> None:
        storage, key, number = tensor.untyped_storage(), key_of_storage(tensor), len(self.events)
        if key not in self.known:
            self.known[key] = number
            self.events.append((number, storage.nbytes()))
            weakref.finalize(storage, self._forget, key, number, storage.nbytes())

    def _forget(self, key, number, nbytes) -> None:
        self.known.pop(key, None)
        self.events.append((number, -nbytes))

    def peak(self, without: Sequence[torch.Tensor]) -> int:
        """Returns the most bytes held at once, those of some tensors left out."""
        left_out = {self.known.get(key_of_storage(t)) for t in without}
        held = peak = 0
        for number, nbytes in list(self.events):
            if number not in left_out:
                held += nbytes
                peak = max(peak, held)
        return peak


def _attention_on_a_cpu() -> dict:
    """Return operations of the kernels that PyTorch's own table lacks, from shapes."""

    def forward(query, key, value, *args, out_shape=None, **kwargs):
        return sdpa_flop_count(query, key, value)

    def backward(gradient, query, key, value, *args, out_shape=None, **kwargs):
        return sdpa_backward_flop_count(gradient, query, key, value)

    return dict(zip(attention_on_a_cpu(), (forward, backward), strict=True))
