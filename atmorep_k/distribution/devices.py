"""Devices and processes that have to be asked for before a backend starts."""

import math
from collections.abc import Mapping
from typing import Any

from atmorep_k.distribution.processes import Processes


def ask_for_devices(bindings: Mapping[str, Any]) -> None:
    """Lets JAX have as many devices on a CPU as a mesh asks for, and joins its processes.

    Where there are GPUs these are used. It comes before anything is built: the step counter of an
    optimiser is enough to start JAX.

    Args:
        bindings: of a `Configuration`, of which `Mesh.shape` counts.
    """
    import keras

    if keras.backend.backend() != "jax":
        return
    import jax

    processes = Processes.from_environment()
    here = math.prod(max(n, 1) for n in mesh_shape(bindings)) // processes.number
    if here > 1:
        jax.config.update("jax_num_cpu_devices", here)
    if processes.number > 1:
        join(processes)


def join(processes: Processes) -> None:
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
    # A wrong shape is told when the mesh is made.
    return [n for n in shape if isinstance(n, int)] if isinstance(shape, tuple | list) else []
