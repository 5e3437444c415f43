"""Makes batches ahead of time in threads, and hands them over in order."""

import collections
import contextlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def prefetch(
    make: Callable[[int], T], steps: Iterable[int], threads: int, ahead: int
) -> Iterator[T]:
    """Yields make(step) for each step, in order, while threads make the next ones.

    An exception in `make` surfaces when its turn comes. Closing the generator drops what has not
    begun and waits for what has.

    Args:
        make: a function that threads may call at the same time.
        steps: may be endless.
        threads: how many results are made at once.
        ahead: how many results may wait or be in the making, at least 1.
    """
    steps = iter(steps)
    pool = ThreadPoolExecutor(threads, thread_name_prefix="atmorep_k-batches")
    waiting: collections.deque[Future[T]] = collections.deque()
    try:
        with contextlib.suppress(StopIteration):
            while len(waiting) < ahead:
                waiting.append(pool.submit(make, next(steps)))
        while waiting:
            result = waiting.popleft().result()
            for step in steps:
                waiting.append(pool.submit(make, step))
                break
            yield result
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
