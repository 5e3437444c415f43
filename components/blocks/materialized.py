"""A value that XLA computes once, where it would compute it again for each use."""

import functools

import keras
from keras import ops


def materialized(x):
    """Returns `x`, which XLA for CPUs then writes to memory, its gradient too.

    It fuses sums into whatever reads them: each use of a block's output would add up the outputs of
    all blocks before it once more, which came to a third of a step (benchmarks/README.md). Barriers
    are dropped before fusing; a branch that depends on the data is not.

    Args:
        x: array of at least one axis.
    """
    if not _fuses():
        return x
    first = x[(0,) * len(x.shape)]
    # False where it is NaN alone, and then the result is NaN as a whole.
    return ops.cond(first == first, lambda: x, lambda: x * float("nan"))


@functools.cache
def _fuses() -> bool:
    if keras.backend.backend() != "jax":
        return False  # on TensorFlow it was worth nothing
    import jax

    return jax.default_backend() == "cpu"
