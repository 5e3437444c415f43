"""Weights in parts over devices on TensorFlow: DTensors as values of Keras's variables."""

import contextlib
import functools
import math
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.experimental import dtensor

from atmorep_k.backend.internals.keras import all_layers, layers_within, put_value
from atmorep_k.backend.internals.tensorflow import plain_errors, take_identity
from atmorep_k.backend.weight_paths import path_in_model
from atmorep_k.distribution.engine import Block
from atmorep_k.distribution.tensorflow import steps
from atmorep_k.distribution.tensorflow.engine import TensorFlowEngine, num_bytes
from atmorep_k.distribution.weights import check_heads, slots
from atmorep_k.errors import UserError


class TensorFlowTensors(TensorFlowEngine):
    """Weights lie on the mesh as the layout says, samples over its other axis."""

    def start(self) -> None:
        """Lays out the devices."""
        super().start()
        # Where sums over devices are put together, TensorFlow 2.21 loses the order between them
        # and what depends on them: a variable is read before it is assigned.
        os.environ["DTENSOR_ENABLE_COMBINE_ALL_REDUCES_OPTIMIZATION"] = "0"
        axes = list(zip(self.mesh.axes, self.size, strict=True))
        names = [name.rpartition("device:")[2] for name in self._devices]
        self._mesh = dtensor.create_mesh(axes, devices=names)

    def check(self, model: Any, optimizer: Any, rules: dict[str, tuple]) -> None:
        """Refuses to split heads; keeps the layout of weights."""
        super().check(model, optimizer, rules)
        steps.check_steps(optimizer)
        check_heads(model, rules, self.size[1])
        self._rules = rules

    def distribute(self, model: Any) -> None:
        """Splits weights and their slots; takes over the steps."""
        optimizer = model.optimizer
        axes = {id(v): self._rules.get(path_in_model(v.path), ()) for v in model.variables}
        axes |= {id(slot): axes[id(weight)] for slot, weight in slots(optimizer)}
        for variable in (*model.variables, *model.metrics_variables, *optimizer.variables):
            self._split(variable, axes.get(id(variable), ()))
        self._hooked = self._let_heads_meet(model)
        steps.install(model, self._compiled, _settled)

    def _split(self, variable, axes) -> None:
        rank = len(variable.shape)
        names = [axis or dtensor.UNSHARDED for axis in axes] or [dtensor.UNSHARDED] * rank
        value = self._on_mesh(variable.value)
        value = dtensor.relayout(value, dtensor.Layout(names, self._mesh))
        made = dtensor.DVariable(value, dtype=value.dtype, trainable=variable.value.trainable)
        take_identity(made, variable.value)
        put_value(variable, made)

    def _let_heads_meet(self, model) -> list:
        """Replicate heads before concatenating them; return the layers whose calls changed.

        Left to itself, DTensor shards the concatenation like the rows of the kernel that follows,
        but joins each device's parts in another order, without an error (TensorFlow 2.21).
        """
        attention = [part for part in all_layers(model) if hasattr(part, "num_heads")]
        parts = [part for layer in attention for part in layers_within(layer)]
        linear = [part for part in parts if isinstance(part, keras.layers.Dense)]
        for part in attention:
            part.call = functools.partial(_then, part.call, self._whole_over_model)
        for part in linear:
            part.call = functools.partial(_after, part.call, self._whole_over_model)
        return attention + linear

    def _whole_over_model(self, value):
        return dtensor.relayout(value, self._by_samples(len(value.shape)))

    def _by_samples(self, rank: int):
        return dtensor.Layout.batch_sharded(self._mesh, self.mesh.axes[0], rank=rank)

    def _on_mesh(self, value):
        value = tf.convert_to_tensor(value)
        return dtensor.copy_to_mesh(value, self._whole_layout(value))

    def _rows_on_mesh(self, value):
        return self._whole_over_model(self._on_mesh(value))

    def _compiled(self, step):
        function = tf.function(step, autograph=False)

        def run(batch):
            with _told(self.size):
                logs = function(tf.nest.map_structure(self._rows_on_mesh, batch))
            return {name: dtensor.unpack(value)[0] for name, value in logs.items()}

        return run

    def predictor(self, model: Any) -> Callable[[dict], dict]:
        """Returns a function that predicts on the mesh, members whole on each device."""

        def call(inputs):
            members = model(inputs, training=False)
            return {name: dtensor.relayout(v, self._whole_layout(v)) for name, v in members.items()}

        function = tf.function(call, autograph=False)

        def predict(inputs):
            number = len(next(iter(inputs.values())))
            rows = np.arange(number + -number % self.size[0]) % number  # as many on each device
            with _told(self.size):
                members = function({n: self._rows_on_mesh(a[rows]) for n, a in inputs.items()})
            return {n: dtensor.unpack(v)[0].numpy()[:number] for n, v in members.items()}

        return predict

    def _whole_layout(self, value):
        return dtensor.Layout.replicated(self._mesh, rank=len(value.shape))

    def _blocks(self, variable) -> list[Block]:
        """Returns the block of a variable on each device."""
        sizes = dict(zip(self.mesh.axes, self.size, strict=True))
        blocks = []
        for place in np.ndindex(*self.size):
            number = dict(zip(self.mesh.axes, place, strict=True))
            lengths = zip(variable.shape, variable.value.layout.sharding_specs, strict=True)
            blocks.append(
                tuple(_part(n, number.get(axis, 0), sizes.get(axis, 1)) for n, axis in lengths)
            )
        return blocks

    def collect(self, model: Any) -> None:
        """Brings all parts to one device."""
        super().collect(model)
        for part in self._hooked:
            del part.call

    def pieces(self, variable: Any) -> list[tuple[Block, np.ndarray]]:
        """Returns each block once."""
        parts = dtensor.unpack(variable.value.read_value())
        found = zip(self._blocks(variable), parts, strict=True)
        # Slices cannot be keys of a dict.
        return list({str(block): (block, part.numpy()) for block, part in found}.values())

    def fill(self, variable: Any, read: Callable[[Block], np.ndarray]) -> None:
        """Reads for each device what it holds."""
        parts = [np.asarray(read(block)) for block in self._blocks(variable)]
        parts = [tf.convert_to_tensor(part, variable.value.dtype) for part in parts]
        variable.value.assign(dtensor.pack(parts, variable.value.layout))

    def _whole(self, variable) -> np.ndarray:
        value = np.empty(variable.shape, tf.as_dtype(variable.dtype).as_numpy_dtype)
        for block, part in self.pieces(variable):
            value[block] = part
        return value

    def held_bytes(self, variables: Iterable) -> int:
        """Returns the bytes on each device."""
        shapes = [(v, [s.stop - s.start for s in self._blocks(v)[0]]) for v in variables]
        return sum(num_bytes(variable, shape) for variable, shape in shapes)


@contextlib.contextmanager
def _told(size) -> Iterator[None]:
    """Say in one sentence what DTensor cannot split."""
    try:
        with plain_errors():
            yield
    except tf.errors.OpError as error:
        if "dtensor" not in error.message:
            raise
        reason = error.message.partition("error: ")[2].partition("\n")[0][:300]
        raise UserError(
            f"TensorFlow cannot split this model over {size[1]} devices ({reason}): choose "
            f"Mesh.shape = ({math.prod(size)}, 1), which splits samples, or KERAS_BACKEND=jax."
        ) from error


def _then(call, change, *args, **options):
    return change(call(*args, **options))


def _after(call, change, value, **options):
    return call(change(value), **options)


def _part(length: int, number: int, parts: int) -> slice:
    return slice(number * length // parts, (number + 1) * length // parts)


def _settled(gradients, weights) -> list:
    """Returns gradients in parts as their weights."""
    pairs = zip(gradients, weights, strict=True)
    return [dtensor.relayout(g, w.value.layout) for g, w in pairs]
