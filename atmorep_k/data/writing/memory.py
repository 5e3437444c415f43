"""How blocks are cut so that the preparation of a store keeps within a given memory."""

import contextlib
import ctypes
import dataclasses
import os
import re
from collections.abc import Sequence

import numpy as np

from atmorep_k.data.sources.joining import Joined
from atmorep_k.data.stores.layout import StoreDescription
from atmorep_k.errors import UserError

# A process with the libraries that read and write; measured 160 MiB.
_BASE = 192 * 2**20
# Sources are asked for so many bytes at once where their chunks allow it; on the way to float32
# there are up to so many copies of them.
_READ = 2**25
_COPIES = 4
# A shard, what is read back of it, and its compressed chunks.
_SHARD_COPIES = 3
# Blocks of small grids hold many time shards, to save calls.
_SMALL = 2**25
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def parse_size(text: str | int) -> int:
    """Returns the bytes that a text such as `4GB`, `500 MB` or `1.5GiB` stands for.

    Raises:
        UserError: if it is not a memory size.
    """
    match = re.fullmatch(r"\s*([0-9.]+)\s*([KMGT]?)(i?)B?\s*", str(text), re.IGNORECASE)
    try:
        if match is None:
            raise ValueError("it is not a number with a unit")
        unit = match[2].upper()
        scale = 1024 ** "KMGT".index(unit) * 1024 if match[3] and unit else _UNITS[unit]
        return int(float(match[1]) * scale)
    except (TypeError, ValueError) as error:
        raise UserError(f"{text!r} is not a memory size; write it like '4GB'.") from error


def give_back() -> None:
    """Gives freed memory back to the system, where the C library would keep it for later.

    A shard's worth of compressed chunks that stays in the pools of each thread adds up to more
    than what is in use.
    """
    with contextlib.suppress(OSError, AttributeError):  # other C libraries have no such call
        ctypes.CDLL(None).malloc_trim(0)


@dataclasses.dataclass(frozen=True)
class Cut:
    """How the record of a variable is cut into blocks, and how one is read.

    Args:
        block: time steps of a block, whole time shards.
        steps: time steps that are read at once.
        in_memory: whether the values of a block wait in memory for their shard, or on the disk.
    """

    block: int
    steps: int
    in_memory: bool


@dataclasses.dataclass(frozen=True)
class Memory:
    """The memory of a preparation, and the processes that share it.

    Args:
        total: bytes.
        workers: processes that write blocks; one is the process that began.
    """

    total: int
    workers: int

    @classmethod
    def shared(
        cls, total: int, workers: int | None, variables: Sequence[Joined], d: StoreDescription
    ) -> "Memory":
        """Returns the memory with as many workers as there are processors, if it is enough.

        Args:
            total: bytes.
            workers: processes at most; None for one per processor.
            variables: what is to be written.
            d: of the store.

        Raises:
            UserError: if there is not enough for one worker; the message says how much it needs.
        """
        least = max(_least(v, d) for v in variables)
        if total < _BASE + least:
            raise UserError(
                f"{total / 1e6:.0f} MB of memory is too little: a shard of all levels needs "
                f"{(_BASE + least) / 1e6:.0f} MB; give more, or choose smaller shards."
            )
        wanted = workers or len(os.sched_getaffinity(0))
        # Small work is done before another process has begun.
        size = sum(_step_bytes(v, d) for v in variables) * len(d.time)
        wanted = wanted if workers or size > 4 * _SMALL else 1
        affordable = (total - _BASE) // (_BASE + least)
        return cls(total, max(1, min(wanted, affordable)))

    @property
    def of_worker(self) -> int:
        """Bytes that a block may take in a process that writes it, beside its libraries."""
        if self.workers == 1:
            return self.total - _BASE
        return (self.total - _BASE) // self.workers - _BASE

    def cut(self, variable: Joined, d: StoreDescription) -> Cut:
        """Returns how a variable is cut."""
        step, shard = _step_bytes(variable, d), d.layout.shard[0]
        budget, beside = self.of_worker, _least(variable, d)
        fits = max(0, budget - beside) // step
        wanted = max(shard, _SMALL // step, variable.time_chunk)
        block = shard * max(1, min(-(-wanted // shard), fits // shard))
        steps = max(1, _READ // step)
        # What the source stores together is read together, unless that is too much.
        if steps < variable.time_chunk <= budget // (_COPIES * step):
            steps = min(block, variable.time_chunk)
        return Cut(block, min(steps, block), block <= fits)


def _step_bytes(variable: Joined, d: StoreDescription) -> int:
    return 4 * int(np.prod(d.shape(variable.name)[1:]))


def _least(variable: Joined, d: StoreDescription) -> int:
    """Returns the bytes that a block takes whose values wait on the disk."""
    step = _step_bytes(variable, d)
    _, shard = d.tiles(variable.name)
    sizes = [min(n, of) for n, of in zip(d.shape(variable.name), shard, strict=True)]
    tile = 4 * int(np.prod([d.layout.shard[0], *sizes[1:]]))
    return _SHARD_COPIES * tile + _COPIES * max(step, min(_READ, step * len(d.time)))
