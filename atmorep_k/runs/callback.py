"""Callbacks that know the run, not only its steps."""

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
        """Raise a `UserError` if it cannot work; called before anything is opened."""

    def begin(self, run: RunDirectory, config_text: str, start_step: int) -> None:
        """Start, before the first step.

        Args:
            run: has its configuration and record.
            config_text: the resolved configuration.
            start_step: steps done before, in a resumed run.
        """

    def end(self, run: RunDirectory, finished: bool) -> None:
        """End, after the last step or an exception.

        Args:
            run: finished, it has its scores and pictures.
            finished: whether the run is complete; else it may be resumed.
        """


@contextlib.contextmanager
def telling(
    callbacks: Sequence[RunCallback], run: RunDirectory, config_text: str, start_step: int
) -> Iterator[None]:
    """Call `begin` of callbacks and, after the body, `end`.

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
