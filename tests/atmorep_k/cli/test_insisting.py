import signal
import time
import weakref

import pytest

from atmorep_k.cli.insisting import insisting


@pytest.fixture(autouse=True)
def handled():
    """SIGINT raises KeyboardInterrupt, whatever pytest runs in."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


class Object:
    """Can be referred to weakly."""


def test_ctrl_c_that_is_dropped_comes_again(capsys):
    referred, done = Object(), []
    reference = weakref.ref(referred, lambda _: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt), insisting(0.1):
        del referred  # Python drops what its callback raises
        done.append(reference())
        time.sleep(60)
    assert done == [None]
    assert capsys.readouterr().err == ""


def test_it_comes_once_where_it_is_heard():
    with pytest.raises(KeyboardInterrupt), insisting(0.1):
        signal.raise_signal(signal.SIGINT)
    time.sleep(0.3)


def test_a_process_in_the_background_goes_on_ignoring_it():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with insisting(0.1):
        signal.raise_signal(signal.SIGINT)
        time.sleep(0.3)
    signal.signal(signal.SIGINT, signal.default_int_handler)
