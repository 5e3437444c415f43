"""Devices and processes that have to be asked for before a backend starts."""

import math
from collections.abc import Mapping
from typing import Any

from atmorep_k.distribution.processes import Processes


def ask_for_devices(bindings: Mapping[str, Any]) -> None:
    """Give a backend as many CPU devices as a mesh asks for, and join its processes.

    Where there are GPUs these are used. It comes before anything is built: the step counter of an
    optimiser is enough to start JAX or TensorFlow.

    Args:
        bindings: of a `Configuration`, of which `Mesh.shape` counts.
    """
    import keras

    shape = mesh_shape(bindings)
    wanted = math.prod(max(n, 1) for n in shape)
    if keras.backend.backend() == "jax":
        _ask_jax(wanted)
    if keras.backend.backend() == "tensorflow" and shape != [1, 1]:
        _ask_tensorflow(wanted)


def _ask_jax(wanted: int) -> None:
    import jax

    processes = Processes.from_environment()
    here = wanted // processes.number
    if here > 1:
        jax.config.update("jax_num_cpu_devices", here)
    if processes.number > 1:
        join_processes(processes)


def _ask_tensorflow(wanted: int) -> None:
    import tensorflow as tf

    from atmorep_k.distribution.tensorflow import workers

    if workers.number() > 1:
        workers.strategy()
        return
    (processor,) = tf.config.list_physical_devices("CPU")
    devices = [tf.config.LogicalDeviceConfiguration()] * wanted
    tf.config.set_logical_device_configuration(processor, devices)


def join_processes(processes: Processes) -> None:
    """Lets this process of JAX find the others."""
    import jax

    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    if processes.address is None:
        jax.distributed.initialize()  # JAX asks the batch system
    else:
        jax.distributed.initialize(processes.address, processes.number, processes.process)


def mesh_shape(bindings: Mapping[str, Any]) -> list[int]:
    """Returns the shape of the mesh that a configuration asks for, as far as it has one."""
    shape = bindings.get("Mesh.shape", (1, 1))
    shape = bindings[shape.name] if hasattr(shape, "name") else shape
    # `Mesh` itself reports an invalid shape.
    return [n for n in shape if isinstance(n, int)] if isinstance(shape, tuple | list) else []
