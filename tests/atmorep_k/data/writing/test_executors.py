"""Where jobs run."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from atmorep_k.data.writing.executors import executor, in_order


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


_PARENT = """
import os, sys, time
from atmorep_k.data.writing.executors import executor
if __name__ == "__main__":
    with executor(2) as (pool, _):
        print(*[pool.submit(os.getpid).result() for _ in range(2)], flush=True)
        for _ in range(2):
            pool.submit(time.sleep, 600)
        time.sleep(600)
"""


def test_workers_end_with_the_process_that_began_them(tmp_path):
    (tmp_path / "parent.py").write_text(_PARENT)
    command = [sys.executable, str(tmp_path / "parent.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        workers = {int(word) for word in parent.stdout.readline().split()}
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 30
    while workers and time.monotonic() < deadline:
        workers = {pid for pid in workers if _is_running(pid)}
        time.sleep(0.05)
    assert not workers


def _is_running(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    try:
        os.kill(pid, 0)
        # One that nobody has waited for yet is no longer running.
        return not status.exists() or status.read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
