"""Where jobs run."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from atmorep_k.data.executors import executor, in_order


@pytest.mark.parametrize("ahead", [1, 3])
def test_results_come_in_order(ahead):
    with ThreadPoolExecutor(2) as pool:
        assert list(in_order(pool, ahead, str, range(20))) == list(map(str, range(20)))


def test_a_failure_is_raised_and_what_has_not_begun_is_dropped():
    begun = []

    def fail(number):
        begun.append(number)
        raise ValueError(number)

    with executor(1) as (pool, _), pytest.raises(ValueError, match="0"):
        list(in_order(pool, 1, fail, range(20)))
    assert begun == [0]
