import itertools
import threading
import time

import pytest

from atmorep_k.windows.prefetch import prefetch


def _slow_when_even(step):
    time.sleep(0.01 * (step % 2 == 0))
    return step


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("ahead", [1, 3, 50])
def test_order_is_kept(threads, ahead):
    assert list(prefetch(_slow_when_even, range(12), threads, ahead)) == list(range(12))


def test_exception_surfaces_at_its_turn():
    def make(step):
        if step == 3:
            raise ValueError("three")
        return step

    results = prefetch(make, range(10), threads=4, ahead=8)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(results)


def test_no_more_than_ahead_are_made_before_they_are_asked_for():
    begun = []
    results = prefetch(lambda step: begun.append(step), itertools.count(), threads=2, ahead=3)
    next(results)
    time.sleep(0.1)
    # Three were begun, one of them was taken and another one begun for it.
    assert sorted(begun) == [0, 1, 2, 3]
    results.close()


def test_closing_ends_the_threads():
    results = prefetch(_slow_when_even, itertools.count(), threads=3, ahead=6)
    next(results)
    results.close()
    names = [t.name for t in threading.enumerate() if t.is_alive()]
    assert not [n for n in names if n.startswith("atmorep_k-batches")]


def test_no_steps_no_results():
    assert list(prefetch(_slow_when_even, range(0), 2, 2)) == []
