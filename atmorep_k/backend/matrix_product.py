"""A product of two large matrices: what rates of models are measured against."""

from collections.abc import Callable
from typing import Any

SIDE = 2048
# Multiplications and additions.
FLOPS = 2 * SIDE**3


def matrix_product() -> Callable[[], Any]:
    """Returns a function that multiplies two square float32 matrices and waits for the result."""
    import keras

    matrix = keras.ops.ones((SIDE, SIDE), "float32")
    if keras.backend.backend() == "jax":
        import jax

        compiled = jax.jit(lambda a: a @ a)
        return lambda: compiled(matrix).block_until_ready()
    return lambda: keras.ops.convert_to_numpy(keras.ops.matmul(matrix, matrix)[0, 0])
