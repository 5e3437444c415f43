"""How blocks are cut for a given memory."""

from types import SimpleNamespace

import numpy as np
import pytest

from atmorep_k.data.stores.layout import Layout, StoreDescription
from atmorep_k.data.writing.memory import _BASE, Memory, parse_size
from atmorep_k.earth.variables import variable_info
from atmorep_k.errors import UserError

GB = 10**9


def _globe(levels=5, time_chunk=1, spacing=0.25, steps=480):
    """A variable on the globe, and the description of its store."""
    rows = np.linspace(90, -90, round(180 / spacing) + 1)
    description = StoreDescription(
        np.datetime64("2020-01-01", "h") + np.arange(steps),
        np.arange(levels) + 1.0,
        rows,
        np.arange(0, 360, spacing),
        {"temperature": variable_info("temperature")},
        {},
        Layout(),
    )
    return SimpleNamespace(name="temperature", time_chunk=time_chunk), description


@pytest.mark.parametrize(
    ("text", "size"),
    [("4GB", 4 * GB), ("500 MB", 5 * 10**8), ("1.5GiB", 3 * 2**29), ("2g", 2 * GB), (7, 7)],
)
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["much", "4 XB", "", "4.4.4GB"])
def test_what_is_no_size(text):
    with pytest.raises(UserError, match="write it like '4GB'"):
        parse_size(text)


def test_one_worker_with_ample_memory_keeps_a_shard():
    variable, d = _globe()
    cut = Memory.shared(3 * GB, 1, [variable], d).cut(variable, d)
    assert cut.in_memory and cut.block == 48


def test_with_little_memory_values_wait_on_the_disk():
    variable, d = _globe()
    memory = Memory.shared(10**9, 1, [variable], d)
    assert not memory.cut(variable, d).in_memory
    assert memory.cut(variable, d).block == 48


def test_the_memory_is_shared_among_workers():
    variable, d = _globe()
    ample, scant = (Memory.shared(m, 8, [variable], d) for m in (100 * GB, 2 * GB))
    assert ample.workers == 8
    assert 1 <= scant.workers < 8
    for memory in (ample, scant):
        assert _BASE + memory.workers * (_BASE + memory.of_worker) <= memory.total


def test_too_little_memory_is_told_at_once():
    variable, d = _globe(levels=137)
    with pytest.raises(UserError, match=r"too little: .* needs \d+ MB"):
        Memory.shared(GB, None, [variable], d)


def test_small_work_needs_no_other_process():
    variable, d = _globe(levels=1, spacing=10.0)
    assert Memory.shared(4 * GB, None, [variable], d).workers == 1


def test_long_chunks_of_the_source_are_read_whole_where_memory_allows():
    variable, d = _globe(levels=1, spacing=1.0, time_chunk=240)
    cut = Memory.shared(8 * GB, 1, [variable], d).cut(variable, d)
    assert cut.block % 48 == 0 and cut.block >= 240
    assert cut.steps >= 240
    scant = Memory.shared(int(0.45 * GB), 1, [variable], d).cut(variable, d)
    assert scant.steps < 240
