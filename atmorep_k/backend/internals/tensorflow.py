"""Private names of TensorFlow: bodies of loops, names of variables, texts of errors."""

import contextlib
from collections.abc import Iterator
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import error_interpolation
from tensorflow.python.ops import while_v2


def loop_body(operation: tf.Operation) -> Any:
    """Return the graph of a loop's body; the public graph has only the name of its function."""
    return while_v2._get_graph(operation, "body", "_body_graph")


def take_identity(variable: Any, other: Any) -> None:
    """Let a variable of TensorFlow be found as another: a Keras optimizer finds slots by it."""
    variable._unique_id = other._unique_id


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """Leave the texts of errors as they are.

    DTensor's have a million characters, and TensorFlow would search them for names for hours.
    """
    search = error_interpolation.parse_message
    error_interpolation.parse_message = lambda message: (message, [], [])
    try:
        yield
    finally:
        error_interpolation.parse_message = search
