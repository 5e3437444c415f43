"""Ctrl-C that cannot get lost."""

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def insisting(seconds: float = 1.0) -> Iterator[None]:
    """Raise KeyboardInterrupt on Ctrl-C, and again until it leaves the block.

    Python raises it wherever the main thread happens to be. In the callback of a weak reference, in
    `__del__` or below a bare `except`, all of which backends and Keras have, it is dropped, and a
    user who pressed Ctrl-C waits for nothing.

    Args:
        seconds: until it is raised again.
    """
    is_main = threading.current_thread() is threading.main_thread()
    # A process in the background ignores Ctrl-C, and a notebook may have a handler of its own.
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return

    def interrupt(number, frame):
        signal.setitimer(signal.ITIMER_REAL, seconds)
        raise KeyboardInterrupt

    def unraisable(dropped):
        if not issubclass(dropped.exc_type, KeyboardInterrupt):
            shown(dropped)

    before, alarm = (
        signal.signal(signal.SIGINT, interrupt),
        signal.signal(signal.SIGALRM, interrupt),
    )
    shown, sys.unraisablehook = sys.unraisablehook, unraisable
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGINT, before)
        signal.signal(signal.SIGALRM, alarm)
        sys.unraisablehook = shown
