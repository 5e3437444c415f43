"""Private names of PyTorch: fused attention on a CPU, tensors without values, layers of Keras."""

from collections.abc import Iterable
from typing import Any

import keras
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

# FakeTensorMode: tensors that have shapes only; PyTorch documents it and keeps it private.
# TorchDispatchMode: sees each operator that runs, backward ones too; likewise.
__all__ = [
    "FakeTensorMode",
    "TorchDispatchMode",
    "attention_on_a_cpu",
    "follow_values",
    "key_of_storage",
    "read_of_one_number",
]

_ATEN = torch.ops.aten


def attention_on_a_cpu() -> tuple[Any, Any]:
    """Return the operators of fused attention on a CPU, forward and backward.

    They are what `scaled_dot_product_attention` runs; neither DTensor nor the counter of FLOPs
    knows them.
    """
    return (
        _ATEN._scaled_dot_product_flash_attention_for_cpu,
        _ATEN._scaled_dot_product_flash_attention_for_cpu_backward,
    )


def read_of_one_number() -> Any:
    """Return the operator behind `Tensor.item`, which a tensor without values cannot answer."""
    return _ATEN._local_scalar_dense.default


def key_of_storage(tensor: torch.Tensor) -> int:
    """Return a number that tensors of the same memory share; without values all point to 0."""
    return tensor.untyped_storage()._cdata


def follow_values(layers: Iterable[keras.layers.Layer]) -> None:
    """Tell layers of Keras that their variables hold other tensors than before.

    As modules of PyTorch they list their parameters, which are the tensors themselves.
    """
    for layer in layers:
        if hasattr(layer, "_torch_params"):
            layer._track_variables()
