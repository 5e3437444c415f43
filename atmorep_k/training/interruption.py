"""Stopping when a batch system says that the time is over."""

import contextlib
import signal
import threading
from collections.abc import Iterator

from atmorep_k.distribution import Engine


class Interruption:
    """Notes the signal SIGTERM, by which batch systems warn before they kill.

    Args:
        engine: of the training, whose processes stop at the same step.
    """

    def __init__(self, engine: Engine):
        self._engine = engine
        self._signalled = False

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Lets the signal be noted, instead of ending the process."""
        if threading.current_thread() is not threading.main_thread():
            yield  # Python handles signals in the main thread only
            return
        before = signal.signal(signal.SIGTERM, self._note)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)

    def _note(self, number, frame) -> None:
        self._signalled = True

    def asked(self) -> bool:
        """Returns whether any process got the signal; all ask at the same step."""
        return self._engine.any(self._signalled)
