"""Private names of Keras's optimizers: their weights, and the parts of a step."""

from collections.abc import Sequence
from typing import Any

import keras

# Methods that Keras calls and our mixins override, each under its own name; a mixin that Keras no
# longer calls would train with other numbers, so the tests check that each is called.
HOOKS = {
    "_apply_weight_decay": "once a step, with the weights that are updated",
    "_clip_gradients": "once a step, with the gradients of the weights that are updated",
    "_get_current_learning_rate": "for the decay of weights",
    "_parallel_update_step": "PyTorch: once a step, with lists of gradients and weights",
    "_var_key": "to find what belongs to a weight",
}


def weights_of(optimizer: keras.optimizers.Optimizer) -> list[keras.Variable]:
    """Return the weights of a built optimizer, in the order of its lists of slots."""
    return optimizer._trainable_variables


def key_of(optimizer: keras.optimizers.Optimizer, variable: keras.Variable) -> Any:
    """Return what an optimizer finds a weight by."""
    return optimizer._var_key(variable)


def decays(optimizer: keras.optimizers.Optimizer, variable: keras.Variable) -> bool:
    """Return whether the decay of weights acts on a weight, see `exclude_from_weight_decay`."""
    return optimizer._use_weight_decay(variable)


def become(optimizer: keras.optimizers.Optimizer, mixin: type) -> None:
    """Put a mixin before the class of an optimizer, in place.

    A new optimizer would not do: the model, its checkpoints and its schedule know this one.
    """
    kind = type(optimizer)
    # Keras tracks what is set; object's own __setattr__ passes it by.
    object.__setattr__(optimizer, "__class__", type(kind.__name__, (mixin, kind), {}))


def steps_made(optimizer: keras.optimizers.Optimizer) -> int:
    """Return the batches seen; `iterations` counts updates where gradients are accumulated."""
    return int(optimizer._iterations.numpy())


def count_step(optimizer: keras.optimizers.Optimizer) -> None:
    """Count one batch."""
    optimizer._iterations.assign_add(1)


def accumulators(optimizer: keras.optimizers.Optimizer, weights: Sequence) -> list[keras.Variable]:
    """Return the slots in which an optimizer sums the gradients of weights over batches."""
    slots = optimizer._accumulated_gradients
    return [slots[optimizer._get_variable_index(weight)] for weight in weights]


def accumulate(optimizer: keras.optimizers.Optimizer, gradients: list, slots: list) -> None:
    """Add gradients to their slots, without the condition that `apply` would trace."""
    optimizer._backend_increment_gradient_accumulators(gradients, slots)


def update(optimizer: keras.optimizers.Optimizer, gradients: list, weights: list) -> None:
    """Clip, decay and update as `apply` does after the last batch that it accumulates."""
    gradients = optimizer._clip_gradients(gradients)
    optimizer._apply_weight_decay(weights)
    optimizer._backend_update_step(gradients, weights, optimizer.learning_rate)


def take_sums(optimizer: keras.optimizers.Optimizer) -> None:
    """Let an optimizer on TensorFlow take gradients that are summed over replicas already.

    Keras would sum them itself, but only after they were clipped.
    """
    optimizer._all_reduce_sum_gradients = list
