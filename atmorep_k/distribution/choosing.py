"""Which engine realises a mesh."""

from typing import Any

from atmorep_k.distribution.engine import Engine
from atmorep_k.distribution.processes import Processes
from atmorep_k.errors import UserError


def engine_for(mesh: Any) -> Engine:
    """Return the engine that realises a mesh on the backend in use.

    Raises:
        UserError: if several processes were started for one device.
    """
    import keras

    if mesh is None or tuple(mesh.shape) == (1, 1):
        if (number := Processes.from_environment().number) > 1:
            raise UserError(
                f"{number} processes were started, but the training is for one device: "
                f'--set MESH="({number}, 1)" spreads its samples over them.'
            )
        return Engine(mesh)
    # Each engine imports its backend, so only the one in use is imported.
    if keras.backend.backend() == "jax":
        from atmorep_k.distribution.jax.engine import JaxEngine

        return JaxEngine(mesh)
    if keras.backend.backend() == "torch":
        from atmorep_k.distribution.torch.engine import TorchEngine

        return TorchEngine(mesh)
    return _tensorflow_engine(mesh)


def _tensorflow_engine(mesh: Any) -> Engine:
    """Return the engine that spreads what the mesh asks for: fields, tensors or only samples."""
    if mesh.fields is not None:
        from atmorep_k.distribution.tensorflow.fields import TensorFlowFields

        return TensorFlowFields(mesh)
    if mesh.shape[1] == 1:
        from atmorep_k.distribution.tensorflow.replicas import TensorFlowReplicas

        return TensorFlowReplicas(mesh)
    from atmorep_k.distribution.tensorflow.tensors import TensorFlowTensors

    return TensorFlowTensors(mesh)
