"""Arrays that go into components and come out of them."""

import keras
import numpy as np
from keras import ops


def random_arrays(shapes, seed=0):
    """Returns an array of each shape, a list of a list of shapes."""
    rng = np.random.default_rng(seed)
    return [
        random_arrays(shape, seed + 1) if isinstance(shape, list) else rng.random(shape, "float32")
        for shape in shapes
    ]


def as_numpy(tree):
    """Returns all arrays of a tree in float32."""
    convert = lambda a: np.asarray(ops.convert_to_numpy(ops.cast(a, "float32")))  # noqa: E731
    return [convert(a) for a in keras.tree.flatten(tree)]


def assert_equal(left, right, tolerance=0.0):
    """Compares trees of finite arrays, to a share of the largest value of each."""
    left, right = as_numpy(left), as_numpy(right)
    assert len(left) == len(right) > 0
    for one, other in zip(left, right, strict=True):
        assert one.shape == other.shape
        assert np.all(np.isfinite(one))
        assert np.abs(one - other).max() <= tolerance * np.abs(one).max()
