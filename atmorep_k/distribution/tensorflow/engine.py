"""A mesh on TensorFlow: what its three engines share, and which one a mesh uses."""

import functools
import math
from collections.abc import Callable, Iterable
from typing import Any

import keras
import tensorflow as tf

from atmorep_k.backend.internals.keras import renew
from atmorep_k.distribution.engine import Engine, as_numpy
from atmorep_k.distribution.tensorflow import workers
from atmorep_k.errors import UserError


class TensorFlowEngine(Engine):
    """The devices of one process. Subclasses spread samples, fields or tensors over them."""

    def start(self) -> None:
        """Finds the devices of this process: GPUs if there are any.

        Raises:
            UserError: if there are too few, or several processes.
        """
        if workers.number() > 1:
            raise UserError(
                f"on TensorFlow several processes can only split samples: choose Mesh.shape = "
                f"({workers.number()}, 1) without fields, or one process."
            )
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        self.size = self.mesh.resolved(len(devices))
        self._devices = [device.name for device in devices[: math.prod(self.size)]]

    def check(self, model: Any, optimizer: Any, rules: dict[str, tuple]) -> None:
        """Refuses what none of the ways can do."""
        if self.mesh.shard_optimizer:
            raise UserError(
                "TensorFlow does not split the slots of an optimiser over samples "
                "(Mesh.shard_optimizer): leave it out, split weights over the axis of the model, "
                "whose slots follow, or set KERAS_BACKEND to jax or torch."
            )
        scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
        if scaled or model.dtype_policy.name == "mixed_float16":
            raise UserError(
                "on TensorFlow the scaled loss of mixed_float16 works on one device only: choose "
                "mixed_bfloat16, which needs no scaling, or Mesh.shape = (1, 1)."
            )

    def predictor(self, model: Any) -> Callable[[dict], dict]:
        """Returns a function that predicts with the values that this process has."""
        function = tf.function(functools.partial(model, training=False), autograph=False)
        return lambda inputs: tf.nest.map_structure(as_numpy, function(inputs))

    def collect(self, model: Any) -> None:
        """Makes plain variables of all; the model is then as one that was never distributed."""
        model.optimizer = None
        model.train_function = model.test_function = model.predict_function = None
        for variable in (*model.variables, *model.metrics_variables):
            renew(variable, self._whole(variable))

    def _whole(self, variable):
        """Returns the whole value of a variable as a numpy array."""
        return as_numpy(variable)

    def held_bytes(self, variables: Iterable) -> int:
        """Returns the bytes on the device that holds most."""
        held: dict[str, int] = {}
        for variable in variables:
            device = variable.value.device
            held[device] = held.get(device, 0) + num_bytes(variable, variable.shape)
        return max(held.values(), default=0)


def num_bytes(variable, shape) -> int:
    """Returns the bytes of an array of the variable's type."""
    return math.prod(shape) * tf.as_dtype(variable.dtype).size
