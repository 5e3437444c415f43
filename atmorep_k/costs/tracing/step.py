"""The training step of a model that is declared, and what it costs on the backend in use."""

import dataclasses
from typing import Any

import keras

from atmorep_k.batch import batch_specs
from atmorep_k.protocols import Masking


@dataclasses.dataclass(frozen=True)
class Spec:
    """Shape and type of an array.

    Args:
        shape: axes.
        dtype: name of the type of its values.
    """

    shape: tuple[int, ...]
    dtype: str = "float32"


@dataclasses.dataclass(frozen=True)
class Cost:
    """What one step takes.

    Args:
        flops: multiplications and additions of its matrix products, forward and backward.
        activations: bytes that it needs at once beside weights, gradients and batch.
    """

    flops: float
    activations: int


def cost(model: Any, loss: Any, masking: Masking, batch_size: int) -> Cost:
    """Return what forward and backward pass of a step take, without computing or allocating it.

    JAX and TensorFlow trace it, and the memory is what a compiler that fuses makes of it; XLA
    packs its buffers less tightly than they would go, see `_PACKING`. PyTorch runs it operation by
    operation on tensors that have shapes only.

    Args:
        model: declared, see `atmorep_k.model.declared`.
        loss: an ensemble loss.
        masking: what is masked.
        batch_size: samples.
    """
    model.compile(optimizer=None, loss=loss)

    def loss_of(weights, others, batch):
        inputs, targets, sample_weights = batch
        given = [*zip(model.trainable_variables, weights, strict=True)]
        given += zip(model.non_trainable_variables, others, strict=True)
        with keras.StatelessScope(given):
            predicted = model(inputs, training=True)
            return model.compute_loss(inputs, targets, predicted, sample_weights)

    weights, others = (
        [Spec(tuple(v.shape), v.dtype) for v in variables]
        for variables in (model.trainable_variables, model.non_trainable_variables)
    )
    slots = {f.name: masking.num_slots(f.num_tokens) for f in model.predicted}
    batch = tuple(
        {name: Spec((batch_size, *shape), dtype) for name, (shape, dtype) in part.items()}
        for part in batch_specs(model.fields, slots)
    )
    return _COUNTERS[keras.backend.backend()](loss_of, weights, others, batch)


# Measured with XLA's `memory_analysis` on models of 100 to 3000 tokens.
_PACKING = 1.15


def _by_jax(loss_of, weights, others, batch) -> Cost:
    import jax

    from atmorep_k.costs.tracing import jax_program

    weights, others, batch = jax.tree.map(
        lambda s: jax.ShapeDtypeStruct(s.shape, s.dtype), (weights, others, batch)
    )
    program = jax_program.trace_jax(jax.value_and_grad(loss_of), weights, others, batch)
    return Cost(program.flops, int(_PACKING * program.peak_bytes()))


def _by_tensorflow(loss_of, weights, others, batch) -> Cost:
    from atmorep_k.costs.tracing import tensorflow_program

    program = tensorflow_program.trace_tensorflow(loss_of, weights, others, batch)
    return Cost(program.flops, int(_PACKING * program.peak_bytes()))


def _by_torch(loss_of, weights, others, batch) -> Cost:
    from atmorep_k.costs.tracing import torch_step

    return Cost(*torch_step.cost_of_step(loss_of, weights, others, batch))


_COUNTERS = {"jax": _by_jax, "torch": _by_torch, "tensorflow": _by_tensorflow}
