"""The work of preparing a store: blocks that any process can write, noted down one by one.

All lies in the directory of the store to be; what is noted down there is not done again.
"""

import dataclasses
import functools
import hashlib
import json
import os
import pickle
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from atmorep_k.data.sources.joining import Joined
from atmorep_k.data.stores.layout import StoreDescription
from atmorep_k.data.stores.packing import Packing
from atmorep_k.data.writing.blocks import BlockWriter, check_finite
from atmorep_k.data.writing.executors import in_order
from atmorep_k.data.writing.finishing import finish
from atmorep_k.data.writing.growing import Grown
from atmorep_k.data.writing.memory import Memory
from atmorep_k.data.writing.skeleton import SCRATCH, create_skeleton

_PLAN, _MARK, _PACKINGS = "plan.pickle", "preparation", "packings.pickle"


@dataclasses.dataclass(frozen=True)
class Job:
    """A block of one variable that one process works on.

    Args:
        kind: `"range"`, to find the smallest and largest values, or `"write"`.
        store: the store to be.
        plan: what tells this preparation from others.
        variable: its name.
        number: the number of the block.
        start: first time step.
        stop: time step after the last.
    """

    kind: str
    store: Path
    plan: str
    variable: str
    number: int
    start: int
    stop: int

    @property
    def note(self) -> Path:
        """Where it is noted down that the job is done, and with what result."""
        return self.store / SCRATCH / f"{self.kind}-{self.variable}-{self.number}.json"

    def result(self) -> Any:
        """Returns what was noted down."""
        return json.loads(self.note.read_text())


@dataclasses.dataclass(frozen=True)
class Preparation:
    """A store being made of sources.

    Args:
        store: the directory to make it in.
        description: of the store.
        variables: name -> where its values come from.
        memory: how much is there.
        sources: name, size and time of change of each source.
        grown: what is there already of a store that grows; None for a new one.
    """

    store: Path
    description: StoreDescription
    variables: dict[str, Joined]
    memory: Memory
    sources: list[tuple[str, int, int]]
    grown: Grown | None = None

    @property
    def known(self) -> int:
        """Time steps that are there already."""
        return len(self.grown.store.time) if self.grown else 0

    def begin(self) -> bool:
        """Makes the directory, or finds what an earlier run has done of the same work.

        Returns:
            Whether there is earlier work to go on with; that of another preparation is removed.
        """
        mark = self.store / SCRATCH / _MARK
        found = mark.exists() and mark.read_text() == self.identity
        if not found:
            shutil.rmtree(self.store, ignore_errors=True)
            mark.parent.mkdir(parents=True)
            mark.write_text(self.identity)
        _write(self.store / SCRATCH / _PLAN, pickle.dumps(self))
        return found

    @functools.cached_property
    def identity(self) -> str:
        """What tells this preparation from others: sources, description, cut into blocks."""
        d = self.description
        cuts = {name: dataclasses.astuple(self._cut(name)) for name in self.variables}
        # When it was begun makes no difference.
        attributes = {k: v for k, v in d.attributes.items() if k != "history"}
        told = [attributes, dataclasses.asdict(d.layout), d.variables, cuts, self.sources]
        printed = hashlib.sha256(json.dumps(told, default=str, sort_keys=True).encode())
        for values in (d.time, d.level, d.latitude, d.longitude):
            printed.update(np.ascontiguousarray(values).tobytes())
        return printed.hexdigest()

    def _cut(self, name: str):
        return self.memory.cut(self.variables[name], self.description)

    def jobs(self, kind: str) -> list[Job]:
        """Returns the blocks of all variables, those of the same times together."""
        d = self.description
        blocks = {n: d.blocks(self._cut(n).block, self.known) for n in self.variables}
        jobs = [
            Job(kind, self.store, self.identity, name, number, start, stop)
            for name, of in blocks.items()
            for number, (start, stop) in enumerate(of)
        ]
        return sorted(jobs, key=lambda job: (job.start, job.variable))

    def carry_out(self, pool, at_once: int, progress: Callable[[int, int], None]) -> None:
        """Does what is not yet done, and finishes the store.

        Args:
            pool: runs the jobs.
            at_once: how many it runs at once.
            progress: called with the bytes of values (float32) done and their total.

        Raises:
            UserError: if a source is damaged or a value missing.
            OSError: if the disk is full or the place cannot be written.
        """
        # A store that grows keeps its packing.
        packed = self.description.layout.packing == "int16" and not self.grown
        kinds = ["range", "write"] if packed else ["write"]
        jobs = {kind: self.jobs(kind) for kind in kinds}
        counted = _counted(progress, sum(self._bytes(j) for of in jobs.values() for j in of))
        if packed:
            for job in self._done(pool, at_once, jobs["range"]):
                counted(self._bytes(job))
        self._prepare_arrays(jobs.get("range", []))
        if self.grown:
            for name in self.variables:
                self.grown.give_moments(name, self.block_writer(name).statistics)
        for job in self._done(pool, at_once, jobs["write"]):
            self.block_writer(job.variable).merge(job.number, job.start, job.stop)
            counted(self._bytes(job))
        self._finish(jobs["write"])

    def _bytes(self, job: Job) -> int:
        return 4 * (job.stop - job.start) * int(np.prod(self.description.shape(job.variable)[1:]))

    def _done(self, pool, at_once: int, jobs: list[Job]) -> Iterator[Job]:
        """Yields each job when it is done, in order; those noted down are not done again."""
        missing = [job for job in jobs if not job.note.exists()]
        # A few jobs wait, so that no process does while results are merged.
        ahead = 1 if at_once == 1 else 2 * at_once
        results = in_order(pool, ahead, run_job, missing)
        todo = set(missing)
        for job in jobs:
            if job in todo:
                next(results)
            yield job

    def _prepare_arrays(self, ranges: list[Job]) -> None:
        """Makes the arrays once all is known that they need."""
        path = self.store / SCRATCH / _PACKINGS
        if path.exists():
            return
        packings = dict(self.grown.store.packings) if self.grown else {}
        for name in self.variables if ranges else ():
            found = [j.result() for j in ranges if j.variable == name]
            low, high = (np.array([of[i] for of in found]) for i in (0, 1))
            packings[name] = Packing.of_range(low.min(axis=0), high.max(axis=0))
        create_skeleton(self.store, self.description, packings)
        _write(path, pickle.dumps(packings))

    @functools.cached_property
    def _packings(self) -> dict[str, Packing]:
        return pickle.loads((self.store / SCRATCH / _PACKINGS).read_bytes())

    def block_writer(self, name: str) -> BlockWriter:
        """Returns what writes blocks of a variable."""
        packing = self._packings.get(name)
        return BlockWriter.of(name, self.store, self.description, packing, self.store / SCRATCH)

    def run(self, job: Job) -> Any:
        """Does a job; returns what is to be noted down."""
        cut = self._cut(job.variable)
        if job.kind == "range":
            ends = [
                (values.min(axis=(0, 2, 3)), values.max(axis=(0, 2, 3)))
                for first in range(job.start, job.stop, cut.steps)
                for values in [self._values(job, first, min(first + cut.steps, job.stop))]
            ]
            low, high = zip(*ends, strict=True)
            return [np.min(low, axis=0).tolist(), np.max(high, axis=0).tolist()]
        checksums = self.block_writer(job.variable).write(
            job.number,
            job.start,
            job.stop,
            functools.partial(self._read, job.variable),
            steps=cut.steps,
            in_memory=cut.in_memory,
            known=max(0, self.known - job.start),
        )
        return checksums.tolist()

    def _read(self, name: str, first: int, stop: int) -> np.ndarray:
        """Returns values of the record: of the store as it was, then of the sources."""
        known = self.known
        parts = []
        if self.grown and first < known:
            parts.append(self.grown.read(name, first, min(stop, known)))
        if stop > known:
            parts.append(self.variables[name].read(max(first, known) - known, stop - known))
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _values(self, job: Job, first: int, stop: int) -> np.ndarray:
        values = self.variables[job.variable].read(first, stop)
        check_finite(job.variable, values, self.description.time[first:stop])
        return values

    def _finish(self, jobs: list[Job]) -> None:
        writers = {name: self.block_writer(name) for name in self.variables}
        checksums = {name: self._checksums(name, jobs) for name in self.variables}
        statistics = {name: of.statistics for name, of in writers.items()}
        finish(self.store, self.description, statistics, checksums)

    def _checksums(self, name: str, jobs: list[Job]) -> np.ndarray:
        own = [j for j in jobs if j.variable == name]
        parts = [np.array(j.result(), np.uint32) for j in own]
        if self.grown:
            shards = own[0].start // self.description.layout.shard[0]
            parts.insert(0, self.grown.checksums(name)[:shards])
        return np.concatenate(parts)


def run_job(job: Job) -> None:
    """Does a job, in whatever process, and notes it down."""
    _write(job.note, json.dumps(_plan(job.store, job.plan).run(job)).encode())


@functools.lru_cache(maxsize=1)
def _plan(store: Path, plan: str) -> Preparation:
    return pickle.loads((store / SCRATCH / _PLAN).read_bytes())


def _write(path: Path, content: bytes) -> None:
    partial = path.with_name(f"{path.name}.partial-{os.getpid()}")
    partial.write_bytes(content)
    partial.replace(path)


def _counted(progress: Callable[[int, int], None], total: int) -> Callable[[int], None]:
    done = 0
    progress(0, total)

    def count(size: int) -> None:
        nonlocal done
        done += size
        progress(done, total)

    return count
