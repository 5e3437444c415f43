"""Sums over replicas, where each sees a part of the batch.

Losses are means over a whole batch. A replica that has some of its rows divides what it has by
the sum of all weights; the sum of gradients over the replicas is then that of the whole batch,
exactly. Where one program sees the whole batch (one device, or JAX), there is one replica.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

from keras import ops

# Between the seeds of two replicas. A seed that is one higher draws what the next step would.
SEED_STEP = 1_000_003


@dataclasses.dataclass(frozen=True)
class _Replicas:
    number: int
    sum: Callable[[Any], Any]


_ONE = _Replicas(1, lambda value: value)
_current = _ONE


@contextlib.contextmanager
def summing(number: int, function: Callable[[Any], Any]) -> Iterator[None]:
    """Lets losses within the context be those of a batch that replicas share.

    Args:
        number: of replicas.
        function: returns the sum of a tensor over the replicas, without a gradient.
    """
    global _current
    before, _current = _current, _Replicas(number, function)
    try:
        yield
    finally:
        _current = before


def count_replicas() -> int:
    """Returns the number of replicas that share a batch."""
    return _current.number


def total(value):
    """Returns the sum of a tensor over the replicas; it has no gradient."""
    return value if _current.number == 1 else _current.sum(ops.stop_gradient(value))


def share(local):
    """Returns the sum over the replicas with the gradient of what this one adds to it."""
    if _current.number == 1:
        return local
    return local + ops.stop_gradient(total(local) - local)


def is_random_state(variable: Any) -> bool:
    """Return whether a variable is the state of random draws, as of dropout, and not a weight."""
    return variable.name == "seed_generator_state"
