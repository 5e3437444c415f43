"""Windows read by threads while a model works on those before them."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from typing import Any

# Threads that read windows while the model predicts.
THREADS = 2


def read_ahead(
    pool: Executor, read: Callable[[Any], Any], items: Sequence[Any], size: int
) -> Iterator[tuple[Sequence, list]]:
    """Yields items and what `read` makes of them, one batch after the other.

    The next batch is read while the one before it is used.

    Args:
        pool: where it is read.
        read: function of an item.
        items: what is read.
        size: items of a batch; the last one may have fewer.
    """
    batches = [items[n : n + size] for n in range(0, len(items), size)]
    waiting = [pool.submit(read, item) for item in batches[0]]
    for batch, after in itertools.zip_longest(batches, batches[1:], fillvalue=()):
        ready, waiting = waiting, [pool.submit(read, item) for item in after]
        yield batch, [future.result() for future in ready]
