"""Training on one device, and what engines for more devices have in common."""

import contextlib
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

# Blocks of an array: slices with start and stop, one for each dimension.
Block = tuple[slice, ...]


class Engine:
    """Train on one device. Subclasses, one or more per backend, spread a training over a mesh.

    A training calls `start`, then `check`, builds and compiles its model within `scope`, calls
    `distribute`, trains within `scope`, and ends with `collect` and `stop`.

    Args:
        mesh: a `Mesh`, or None.

    Attributes:
        process: number of this process, from 0.
        num_processes: of the training.
        size: devices along the axes of samples and model; known after `start`.
        part: (r, R): this process reads part r of R of each batch, see `dataset.batches`.
    """

    def __init__(self, mesh: Any = None):
        self.mesh = mesh
        self.process = 0
        self.num_processes = 1
        self.size = (1, 1)
        self.part = (0, 1)

    @property
    def is_main(self) -> bool:
        """Whether this process writes logs and files, scores and saves."""
        return self.process == 0

    def start(self) -> None:
        """Finds devices and processes; before anything is built.

        Raises:
            UserError: if there are too few.
        """

    def check(self, model: Any, optimizer: Any, rules: dict[str, tuple]) -> None:
        """Raises a `UserError` where this backend cannot realise the mesh; it names what can.

        Args:
            model: not yet built.
            optimizer: of the training.
            rules: see `Mesh.rules`.
        """

    def scope(self) -> contextlib.AbstractContextManager:
        """Returns a context in which the model is built, compiled and trained."""
        return contextlib.nullcontext()

    def distribute(self, model: Any) -> None:
        """Puts the values of all variables of a compiled model where they belong."""

    def feed(self, batches: Iterable) -> Iterable:
        """Returns what `fit` takes for batches of this process's rows."""
        return batches

    def predictor(self, model: Any) -> Callable[[dict], dict]:
        """Returns a function that predicts windows while a compiled model is trained.

        It takes the inputs of a batch, in all processes the same, of shapes that never change, and
        returns field -> members as arrays; all processes call it. States of dropout stay as they
        are.
        """
        if model.encode == "all":
            return model.predict_on_batch
        # Such a model must know how many tokens are masked, which TensorFlow leaves open in a
        # second trace.
        model.make_predict_function(force=True)
        own = model.predict_function

        def predict(inputs):
            model.predict_function = own
            return model.predict_on_batch(inputs)

        return predict

    def any(self, flag: bool) -> bool:
        """Returns whether the flag is set in any process; all call it at the same step."""
        return flag

    def pieces(self, variable: Any) -> list[tuple[Block, np.ndarray]]:
        """Returns the blocks of a variable that this process writes to a checkpoint.

        Each block is written by one process.
        """
        value = as_numpy(variable)
        return [(whole(value.shape), value)]

    def fill(self, variable: Any, read: Callable[[Block], np.ndarray]) -> None:
        """Sets a variable from a function that returns a block; all processes call it."""
        variable.assign(read(whole(variable.shape)))

    def collect(self, model: Any) -> None:
        """Ends the distribution: weights become whole, plain values in the main process.

        All processes call it. The optimiser is gone afterwards, and the model compiled no more.
        """

    def held_bytes(self, variables: Iterable) -> int:
        """Returns the bytes of some variables on the device that holds most of them."""
        return sum(as_numpy(variable).nbytes for variable in variables)

    def barrier(self) -> None:
        """Waits until all processes are here."""

    def stop(self) -> None:
        """Ends what `start` began, in all processes; the main process may continue alone."""

    def abort(self) -> None:
        """Says that this process fails: it is not to wait for others when it exits."""


def whole(shape) -> Block:
    """Returns the block that is all of an array."""
    return tuple(slice(0, length) for length in shape)


def as_numpy(variable) -> np.ndarray:
    """Returns a variable's value, bfloat16 by the type of that name in ml_dtypes."""
    import keras

    return np.asarray(keras.ops.convert_to_numpy(variable))
