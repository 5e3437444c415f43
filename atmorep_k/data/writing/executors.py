"""Where jobs run: here, in processes of this machine, or on a cluster that is there already."""

import concurrent.futures
import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from typing import Any, TypeVar

from atmorep_k.errors import UserError, missing_extra

T = TypeVar("T")

_SECONDS_TO_ANSWER = 20


@contextlib.contextmanager
def executor(
    workers: int, scheduler: str = ""
) -> Iterator[tuple[concurrent.futures.Executor, int]]:
    """Gives an executor, and how many jobs it runs at once.

    Args:
        workers: processes; one runs the jobs here.
        scheduler: address of a scheduler of dask.distributed, which then runs the jobs; its workers
            must see the same files.

    Raises:
        UserError: if the scheduler cannot be reached, or dask.distributed is not installed.
    """
    if scheduler:
        with _client(scheduler) as client:
            yield client.get_executor(), max(1, sum(client.nthreads().values()))
    elif workers == 1:
        yield _Here(), 1
    else:
        # Forked processes and threads of tensorstore or HDF5 do not go together.
        context = multiprocessing.get_context("spawn")
        pool = concurrent.futures.ProcessPoolExecutor(workers, context, _follow_the_parent)
        try:
            yield pool, workers
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _client(scheduler: str):
    try:
        from distributed import Client
    except ImportError as error:
        raise missing_extra("dask.distributed, which reaches a scheduler,", "cluster") from error
    try:
        return Client(scheduler, timeout=_SECONDS_TO_ANSWER)
    except (OSError, ValueError) as error:
        raise UserError(f"no scheduler answers at {scheduler!r}: {error}.") from error


def _follow_the_parent() -> None:
    """Prepares a worker: interrupts are told by the process that waits, and without it work ends.

    A worker whose parent was killed would go on with the jobs that it was handed, and then wait for
    ever.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker has a parent"

    def watch() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class _Here(Executor):
    """Runs each job when it is submitted."""

    def submit(self, function, /, *args, **kwargs):
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def in_order(pool: Executor, ahead: int, function: Callable[..., T], jobs: Iterable) -> Iterator[T]:
    """Yields function(job) for each job, in order.

    Args:
        pool: runs the jobs.
        ahead: how many jobs may be under way, or their results wait, at least 1.
        function: what is done.
        jobs: what it is done with.

    Raises:
        Exception: the first that a job raises; those not begun are dropped, the others waited for.
    """
    waiting: deque[concurrent.futures.Future] = deque()
    jobs = iter(jobs)
    try:
        while True:
            for job in jobs:
                waiting.append(pool.submit(function, job))
                if len(waiting) >= ahead:
                    break
            if not waiting:
                return
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
        concurrent.futures.wait([f for f in waiting if not f.cancelled()])
