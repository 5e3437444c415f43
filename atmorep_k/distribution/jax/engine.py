"""A mesh on JAX: one program over all devices, by `keras.distribution`."""

import atexit
import contextlib
import math
import os
import re
import sys
from collections.abc import Callable, Iterable
from typing import Any

import jax
import keras
import numpy as np

from atmorep_k.backend.internals.keras import place, put_value
from atmorep_k.distribution.devices import join_processes
from atmorep_k.distribution.engine import Block, Engine
from atmorep_k.distribution.processes import Processes
from atmorep_k.distribution.weights import dimension_to_share, slots
from atmorep_k.errors import UserError


class JaxEngine(Engine):
    """Samples and weights are arrays over the devices of all processes; XLA adds the exchange."""

    def start(self) -> None:
        """Joins the processes, if there are several, and lays out the devices."""
        here = Processes.from_environment()
        self.process, self.num_processes = here.process, here.number
        if here.number > 1:
            _joined(here)
        devices = jax.devices()
        self.size = self.mesh.resolved(len(devices), here.number)
        names = [f"{d.platform}:{d.id}" for d in devices[: math.prod(self.size)]]
        self._devices = keras.distribution.DeviceMesh(self.size, self.mesh.axes, names)
        self.part = self._part(np.array(devices[: math.prod(self.size)]).reshape(self.size))

    def _part(self, devices: np.ndarray) -> tuple[int, int]:
        """Returns which rows of a batch the devices of this process hold."""
        rows = [r for r, row in enumerate(devices) if any(_is_here(d) for d in row)]
        return rows[0] // len(rows), len(devices) // len(rows)

    def check(self, model: Any, optimizer: Any, rules: dict[str, tuple]) -> None:
        """Refuses fields on devices of their own; prepares the layout of weights."""
        if self.mesh.fields is not None:
            raise UserError(
                "JAX runs one program on all devices and cannot place fields (Mesh.fields); it can "
                "split their weights: leave Mesh.fields out, or set KERAS_BACKEND=tensorflow."
            )
        layout = keras.distribution.LayoutMap(self._devices)
        for path, axes in rules.items():
            # Keras searches for the pattern within a path: anchors keep it to this one.
            layout[f"^{re.escape(f'{model.name}/{path}')}$"] = axes
        self._distribution = keras.distribution.ModelParallel(
            layout_map=layout, batch_dim_name=self.mesh.axes[0], auto_shard_dataset=False
        )

    def scope(self) -> contextlib.AbstractContextManager:
        """Returns the scope of Keras's distribution."""
        return self._distribution.scope()

    def distribute(self, model: Any) -> None:
        """Puts on the mesh what was made before it (metrics); splits slots if asked to."""
        everywhere = self._sharding(())
        variables = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
        if self.num_processes > 1:
            _pass_through(variables)
        for variable in variables:
            if isinstance(variable.value.sharding, jax.sharding.SingleDeviceSharding):
                _place(variable, everywhere)
        if self.mesh.shard_optimizer:
            for slot, _ in slots(model.optimizer):
                _place(slot, self._split_further(slot))

    def _sharding(self, axes) -> jax.sharding.NamedSharding:
        spec = jax.sharding.PartitionSpec(*axes)
        return jax.sharding.NamedSharding(self._devices.backend_mesh, spec)

    def _split_further(self, slot) -> jax.sharding.NamedSharding:
        """Splits a slot over the samples' axis, too, where it divides."""
        axes = list(slot.value.sharding.spec)
        shared = dimension_to_share(slot.shape, axes, self.size[0])
        if shared is not None:
            axes += [None] * (len(slot.shape) - len(axes))
            axes[shared] = self.mesh.axes[0]
        return self._sharding(axes)

    def predictor(self, model: Any) -> Callable[[dict], dict]:
        """Returns a function that predicts on all devices; each process gets all members."""

        def call(trained, others, inputs):
            return model.stateless_call(trained, others, inputs, training=False)[0]

        compiled = jax.jit(call, out_shardings=self._sharding(()))

        def predict(inputs):
            weights = model.trainable_variables, model.non_trainable_variables
            members = compiled(*([v.value for v in variables] for variables in weights), inputs)
            return {name: np.asarray(values) for name, values in members.items()}

        return predict

    def any(self, flag: bool) -> bool:
        """Returns whether the flag is set in any process."""
        if self.num_processes == 1:
            return flag
        return bool(_multihost().process_allgather(np.array(flag)).any())

    def pieces(self, variable: Any) -> list[tuple[Block, np.ndarray]]:
        """Returns the blocks that this process holds as the first of all."""
        shape = variable.shape
        return [
            (_block(shard.index, shape), np.asarray(shard.data))
            for shard in variable.value.addressable_shards
            if shard.replica_id == 0
        ]

    def fill(self, variable: Any, read: Callable[[Block], np.ndarray]) -> None:
        """Reads for each device what it holds."""
        shape = tuple(variable.shape)
        array = jax.make_array_from_callback(
            shape,
            variable.value.sharding,
            lambda index: np.asarray(read(_block(index, shape)), variable.dtype),
        )
        put_value(variable, array)

    def collect(self, model: Any) -> None:
        """Gathers all weights; afterwards the model is on one device of each process."""
        model.optimizer = None
        for variable in model.variables:
            value = variable.value
            if not value.is_fully_addressable:
                value = _multihost().process_allgather(value, tiled=True)
            _bring_home(variable, np.asarray(value))
        for variable in model.metrics_variables:
            _bring_home(variable, np.zeros(variable.shape, variable.dtype))
        model.train_function = model.test_function = model.predict_function = None

    def held_bytes(self, variables: Iterable) -> int:
        """Returns the bytes on the device of this process that holds most."""
        held: dict[Any, int] = {}
        for variable in variables:
            for shard in variable.value.addressable_shards:
                held[shard.device] = held.get(shard.device, 0) + shard.data.nbytes
        return max(held.values(), default=0)

    def barrier(self) -> None:
        """Waits for all processes."""
        if self.num_processes > 1:
            _multihost().sync_global_devices("atmorep_k")

    def stop(self) -> None:
        """Leave the other processes."""
        if self.num_processes > 1:
            jax.distributed.shutdown()

    def abort(self) -> None:
        """Lets this process exit at once: JAX would wait for the others, who wait for it."""
        if self.num_processes > 1:
            atexit.register(_exit_failed)


def _joined(processes: Processes) -> None:
    if jax.distributed.is_initialized():
        return
    try:
        join_processes(processes)
    except RuntimeError as error:
        raise UserError(
            "JAX started before it knew of the other processes: call "
            "atmorep_k.distribution.devices.ask_for_devices({}) before creating anything else."
        ) from error


def _exit_failed() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


def _bring_home(variable, value) -> None:
    place(variable, jax.device_put(value, jax.local_devices()[0]), None)


def _is_here(device) -> bool:
    return device.process_index == jax.process_index()


def _pass_through(variables) -> None:
    """Copy values by a compiled identity: JAX 0.10 cannot take apart local arrays on the mesh."""
    wanted = [v.value.sharding for v in variables]
    held = [n for n, s in enumerate(wanted) if not isinstance(s, jax.sharding.SingleDeviceSharding)]
    shardings = [wanted[n] for n in held]
    values = jax.jit(lambda a: a, out_shardings=shardings)([variables[n].value for n in held])
    for number, value in zip(held, values, strict=True):
        put_value(variables[number], value)


def _place(variable, sharding) -> None:
    array = jax.make_array_from_callback(
        tuple(variable.shape), sharding, np.asarray(variable.value).__getitem__
    )
    # Keras assigns by the layout: without it a metric that is reset would leave the mesh.
    place(variable, array, sharding)


def _block(index, shape) -> Block:
    return tuple(slice(*s.indices(n)[:2]) for s, n in zip(index, shape, strict=True))


def _multihost():
    from jax.experimental import multihost_utils

    return multihost_utils
