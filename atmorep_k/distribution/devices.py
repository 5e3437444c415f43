"""Devices of a processor, which have to be asked for before a backend starts."""

import math
from collections.abc import Mapping
from typing import Any

from atmorep_k.distribution.processes import Processes


def ask_for_devices(bindings: Mapping[str, Any]) -> None:
    """Lets JAX have as many devices on a CPU as the mesh of a configuration asks for.

    Where there are GPUs these are used, and this changes nothing. It comes before anything is
    built: the step counter of an optimiser is enough to start JAX.

    Args:
        bindings: of a `Configuration`.
    """
    import keras

    devices = math.prod(max(n, 1) for n in mesh_shape(bindings))
    here = devices // Processes.from_environment().number
    if keras.backend.backend() == "jax" and here > 1:
        import jax

        jax.config.update("jax_num_cpu_devices", here)


def mesh_shape(bindings: Mapping[str, Any]) -> list[int]:
    """Returns the shape of the mesh that a configuration asks for, as far as it has one."""
    shape = bindings.get("Mesh.shape", (1, 1))
    shape = bindings[shape.name] if hasattr(shape, "name") else shape
    # A wrong shape is told when the mesh is made.
    return [n for n in shape if isinstance(n, int)] if isinstance(shape, tuple | list) else []
