"""Stopping a training when a batch system or the user asks for it."""

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator

from atmorep_k.distribution import Engine
from atmorep_k.errors import Interrupted

_SAME_PRESS = 0.3  # seconds; a launcher may pass on the SIGINT that the terminal has sent already


class Interruption:
    """Notes SIGTERM, by which batch systems warn before they kill, and SIGINT, sent by Ctrl-C.

    A `KeyboardInterrupt` would be lost: Keras converts logs within a bare `except`, and on JAX that
    is where the main thread waits for the device.

    A second SIGINT ends the process at once, with exit code 130. All files stay whole, as after a
    `kill -9`: those that are being written have another name until they are complete.

    Args:
        engine: of the training, whose processes stop at the same step.
    """

    def __init__(self, engine: Engine):
        self._engine = engine
        self._noted: int | None = None

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Note signals instead of ending the process."""
        if threading.current_thread() is not threading.main_thread():
            yield  # Python handles signals in the main thread only
            return
        numbers = [signal.SIGTERM]
        if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:  # as in jobs in the background
            numbers.append(signal.SIGINT)
        before = {number: signal.signal(number, self._note) for number in numbers}
        try:
            with self._answering():
                yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        if self._noted:  # it came after the last step: do what it does elsewhere
            signal.raise_signal(self._noted)

    def _note(self, number, frame) -> None:
        if self._noted == number == signal.SIGINT and _in_a_session():
            raise KeyboardInterrupt
        self._noted = self._noted or number

    @contextlib.contextmanager
    def _answering(self) -> Iterator[None]:
        """Answer Ctrl-C in a thread.

        Python calls handlers between two instructions of the main thread, which may be compiling
        for minutes. It writes the signal's number to the wakeup descriptor at once.
        """
        heard, wakeup = socket.socketpair()
        wakeup.setblocking(False)
        before = signal.set_wakeup_fd(wakeup.fileno(), warn_on_full_buffer=False)
        thread = threading.Thread(target=self._answer, args=(heard,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            wakeup.shutdown(socket.SHUT_RDWR)  # a forked worker may hold it, too
            wakeup.close()
            thread.join()
            heard.close()

    def _answer(self, heard: socket.socket) -> None:
        first = None
        while number := heard.recv(1):
            if number[0] != signal.SIGINT:
                continue
            if first is None:
                first = time.monotonic()
                if self._engine.is_main:
                    sentence = "stopping after this step; press Ctrl-C again to stop at once"
                    print(sentence, file=sys.stderr, flush=True)
            elif time.monotonic() - first > _SAME_PRESS and not _in_a_session():
                _exit()

    def asked(self) -> bool:
        """Return whether any process got a signal; all ask at the same step."""
        return self._engine.any(self._noted is not None)

    def interrupted(self, step: int) -> Interrupted:
        """Return what to raise after a step whose state is saved."""
        ctrl_c = self._noted == signal.SIGINT
        by, code = (
            ("Ctrl-C", Interrupted.BY_USER) if ctrl_c else ("a signal", Interrupted.BY_SYSTEM)
        )
        return Interrupted(f"stopped by {by} after step {step}, which is saved.", code)


def _in_a_session() -> bool:
    """Return whether Python is used interactively: a notebook's kernel must not be ended."""
    return hasattr(sys, "ps1")


def _exit() -> None:
    """End the process, whatever the main thread does."""
    show_cursor = b"\x1b[?25h" if os.isatty(2) else b""  # the progress bar has hidden it
    os.write(2, show_cursor + b"\nInterrupted.\n")
    os._exit(Interrupted.BY_USER)
