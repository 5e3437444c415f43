"""Fields on devices of their own on TensorFlow, by `tf.device`, in one graph."""

from typing import Any

import tensorflow as tf

from atmorep_k.backend.internals.keras import renew
from atmorep_k.distribution.tensorflow.engine import TensorFlowEngine
from atmorep_k.distribution.weights import slots
from atmorep_k.errors import UserError


class TensorFlowFields(TensorFlowEngine):
    """The layers of a field are made, run and updated on its device, forwards and backwards."""

    def check(self, model: Any, optimizer: Any, rules: dict[str, tuple]) -> None:
        """Finds the device of each field."""
        super().check(model, optimizer, rules)
        if self.size[0] > 1:
            raise UserError(
                f"TensorFlow places fields on devices that all get the same samples: choose "
                f"Mesh.shape = (1, {self.size[1]}), or leave Mesh.fields out and split "
                f"samples and weights."
            )
        places = self.mesh.places(model, self.size)
        devices = {name: self._devices[place] for name, place in places.items()}

        def at(field, function, *states):
            return _placed(devices[field], function, states)

        model.at = at

    def distribute(self, model: Any) -> None:
        """Puts slots beside their weights."""
        # XLA takes no variables of another device.
        model.jit_compile = False
        for slot, weight in slots(model.optimizer):
            with tf.device(weight.value.device):
                renew(slot, slot.numpy())

    def collect(self, model: Any) -> None:
        """Brings all fields to one device."""
        super().collect(model)
        del model.at


def _placed(device: str, function, states: tuple):
    """Returns the tensor that a function makes of its states on a device.

    TensorFlow runs gradients on the first device, wherever the forward pass ran. A custom gradient
    records its own tape and replays it on the device of the field.
    """
    if not states:
        with tf.device(device):
            return function()

    @tf.custom_gradient
    def run(*flat):
        copies = [tf.identity(tensor) for tensor in flat]  # also where one is given twice
        inputs = [tensor for tensor in copies if tensor.dtype.is_floating]
        with tf.device(device), tf.GradientTape() as tape:
            tape.watch(inputs)
            output = function(*tf.nest.pack_sequence_as(states, copies))

        def backward(upstream, variables=()):
            with tf.device(device):
                found = tape.gradient(output, [inputs, list(variables)], upstream)
            by_input = dict(zip(map(id, inputs), found[0], strict=True))
            of_states = [by_input.get(id(tensor)) for tensor in copies]
            return (of_states, found[1]) if variables else of_states

        return output, backward

    return run(*tf.nest.flatten(states))
