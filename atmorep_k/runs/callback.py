"""Callbacks that are told of the run, not of its steps alone."""

import contextlib
from collections.abc import Iterator, Sequence

import keras

from atmorep_k.runs.directory import RunDirectory


class RunCallback(keras.callbacks.Callback):
    """A callback of the main process that knows where the run is written.

    It comes after all other callbacks: what these write is there. A training calls `check`, then
    `begin`, Keras's own methods, and `end`.
    """

    def check(self) -> None:
        """Raises a `UserError` where it cannot work; nothing has been opened yet."""

    def begin(self, run: RunDirectory, config_text: str, start_step: int) -> None:
        """Learns of the run before its first step.

        Args:
            run: has its configuration and record.
            config_text: the resolved configuration.
            start_step: steps done before, in a resumed run.
        """

    def end(self, run: RunDirectory, finished: bool) -> None:
        """Learns that the run has ended.

        Args:
            run: finished, it has its scores and pictures.
            finished: whether it is; one that is not may be resumed.
        """


@contextlib.contextmanager
def telling(
    callbacks: Sequence[RunCallback], run: RunDirectory, config_text: str, start_step: int
) -> Iterator[None]:
    """Tells callbacks that a run begins and, after the body, how it has ended.

    Args:
        callbacks: to tell.
        run: where it is written.
        config_text: its resolved configuration.
        start_step: steps done before.
    """
    with contextlib.ExitStack() as ends:
        for callback in callbacks:
            callback.begin(run, config_text, start_step)
            ends.push(lambda kind, *_, told=callback: told.end(run, kind is None))
        yield
