"""What the tests of losses share: compiled gradients on every backend, and an example ensemble."""

import keras
import numpy as np
import pytest


def _jax(function, array):
    import jax

    return jax.jit(jax.value_and_grad(function))(array)


def _torch(function, array):
    import torch

    array = torch.tensor(array, device=keras.src.backend.torch.core.get_device())
    array.requires_grad_(True)
    value = function(array)
    value.backward()
    return value, array.grad


def _tensorflow(function, array):
    import tensorflow as tf

    # The number of samples is unknown in a graph, as it is in training.
    signature = [tf.TensorSpec([None, *array.shape[1:]], array.dtype)]

    @tf.function(input_signature=signature, autograph=False)
    def both(array):
        with tf.GradientTape() as tape:
            tape.watch(array)
            value = function(array)
        return value, tape.gradient(value, array)

    return both(tf.constant(array))


@pytest.fixture
def value_and_gradient():
    """Function (function, array) -> its value and gradient, traced where the backend can."""
    run = {"jax": _jax, "torch": _torch, "tensorflow": _tensorflow}[keras.backend.backend()]

    def both(function, array):
        value, gradient = run(function, np.asarray(array, "float32"))
        to_numpy = keras.ops.convert_to_numpy
        return float(to_numpy(value)), to_numpy(gradient)

    return both


@pytest.fixture
def ensemble():
    """Target (batch, level, masked, value) and members (batch, level, masked, member, value)."""
    rng = np.random.default_rng(7)
    target = rng.normal(size=(2, 3, 4, 5)).astype("float32")
    members = rng.normal(0.2, 1.3, size=(2, 3, 4, 6, 5)).astype("float32")
    return target, members
