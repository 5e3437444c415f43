"""`atmorep-k data prepare`: raw files in, a store out, with bounded memory, whole or not at all."""

import contextlib
import dataclasses
import fcntl
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from pathlib import Path
from typing import Any

import numpy as np

from atmorep_k.data.linked.store import identity, linked
from atmorep_k.data.sources.finding import find_sources
from atmorep_k.data.sources.joining import Joined
from atmorep_k.data.sources.pieces import Piece
from atmorep_k.data.sources.selection import Selection
from atmorep_k.data.stores.layout import Layout, StoreDescription
from atmorep_k.data.writing.executors import executor
from atmorep_k.data.writing.growing import Grown
from atmorep_k.data.writing.memory import Memory, parse_size
from atmorep_k.data.writing.preparation import Preparation
from atmorep_k.data.writing.skeleton import SCRATCH
from atmorep_k.data.writing.write_store import is_store, writing_to
from atmorep_k.errors import UserError
from atmorep_k.files import check_output, new_parents, put_in_place

MEMORY = "4GB"


def prepare(
    sources: Sequence[str],
    output: Path,
    *,
    variables: Sequence[str] = (),
    levels: Sequence[float] = (),
    region: tuple[float, float, float, float] | None = None,
    derived: Sequence[str] = (),
    grid: float | None = None,
    period: tuple[str, str] | None = None,
    attributes: dict[str, Any] | None = None,
    layout: Layout | None = None,
    memory: str | int = MEMORY,
    workers: int | None = None,
    scheduler: str = "",
    link: bool = False,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
    notify: Callable[[str], None] | None = None,
) -> Path:
    """Turns GRIB, NetCDF and Zarr into a store.

    Work that was stopped from outside stays in `<output>.partial`; the same call resumes it.

    Args:
        sources: files, globs, directories or addresses.
        output: the store to make.
        variables: names, under any alias; all known variables if empty.
        levels: levels wanted; all if empty.
        region: (south, north, west, east) in degrees; the whole grid if None.
        derived: `"vorticity"`, `"divergence"`: computed from the wind of the sources.
        grid: degrees between the points of the grid to which radar is brought.
        period: first and last day (month, year, time), both included; the whole record if None.
        attributes: global attributes that take the place of those found (`attribution`).
        layout: how values are cut, packed and compressed.
        memory: bytes, or words such as `4GB`, that all processes together keep within; with a
            scheduler, each of its threads does.
        workers: processes at most; None for one per processor, as far as the memory goes.
        scheduler: address of a scheduler of dask.distributed to do the work.
        link: leave the values where they are; the store has their statistics and tells where they
            lie, so that a training reads them there.
        overwrite: replace an existing store.
        progress: called with the bytes of values (float32) done and their total; with packing
            they count twice.
        notify: called with sentences about what was found and what was left out.

    Returns:
        The path of the store.

    Raises:
        UserError: for every mistake that a user can correct; nothing is left behind.
    """
    notify = notify or (lambda sentence: None)
    output = Path(output)
    check_output(output, overwrite, kind="a store", is_ours=is_store)
    found = find_sources(sources)
    selection = Selection(tuple(variables), tuple(levels), region, tuple(derived), grid, period)
    chosen, joined = selection.open(found, notify)
    attributes = {"selection": selection.told(chosen), **(attributes or {})}
    description = _describe(chosen, joined, attributes, layout or Layout())
    if link:
        description = linked(description, found)
    partial = output.with_name(f"{output.name}.partial")
    work = Work(memory, workers, scheduler, progress, notify)
    with working_on(output, partial, description, joined, found, work):
        put_in_place(partial, output)
        shutil.rmtree(output / SCRATCH)
    return output


@dataclasses.dataclass(frozen=True)
class Work:
    """What the writing of a store may use and what it calls; the arguments are as in `prepare`."""

    memory: str | int
    workers: int | None
    scheduler: str
    progress: Callable[[int, int], None] | None
    notify: Callable[[str], None]


@contextlib.contextmanager
def working_on(
    output: Path,
    partial: Path,
    description: StoreDescription,
    joined: Sequence[Joined],
    sources: Sequence[str],
    work: Work,
    grown: Grown | None = None,
) -> Iterator[None]:
    """Writes a store into a directory of its own; the body then puts it in place.

    The work is removed where it fails, the body included, and kept where it is stopped from
    outside.

    Args:
        output: what is written, for messages.
        partial: the directory.
        description: of the store.
        joined: its variables.
        sources: where they come from.
        work: how it is done.
        grown: see `Preparation`.

    Raises:
        UserError: if another process is writing, a source is damaged, a value is missing, or the
            place cannot be written.
    """
    workers = 1 if work.scheduler else work.workers
    of = Memory.shared(parse_size(work.memory), workers, joined, description)
    variables, told = {j.name: j for j in joined}, [identity(source) for source in sources]
    preparation = Preparation(partial, description, variables, of, told, grown)
    with writing_to(output), new_parents(output), _alone(partial), _kept_if_stopped(partial):
        with executor(of.workers, work.scheduler) as (pool, at_once):
            if preparation.begin():
                work.notify(f"resuming the work found in {partial}.")
            preparation.carry_out(pool, at_once, work.progress or (lambda done, total: None))
        yield


@contextlib.contextmanager
def _alone(partial: Path) -> Iterator[None]:
    """Holds a lock, so that no other process prepares the same store."""
    path = partial.with_name(f"{partial.name}.lock")
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f"{partial} is being written by another process.") from error
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def _kept_if_stopped(partial: Path) -> Iterator[None]:
    """Removes work that failed; work that was stopped from outside stays, to be resumed."""
    try:
        yield
    except BrokenExecutor as error:
        raise UserError(
            f"a worker process was killed, perhaps for lack of memory; finished work is kept in "
            f"{partial}, and the same command resumes it."
        ) from error
    except Exception:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _describe(
    pieces: Sequence[Piece],
    joined: Sequence[Joined],
    attributes: dict[str, Any],
    layout: Layout,
) -> StoreDescription:
    level = next((j.level for j in joined if len(j.level)), np.zeros(0))
    kind = next((p.level_type for p in pieces if len(p.level)), "")
    return StoreDescription(
        time=joined[0].time,
        level=level,
        latitude=pieces[0].latitude,
        longitude=pieces[0].longitude,
        variables={j.name: j.info for j in joined},
        attributes={**merged_attributes(pieces), "level_type": kind, **attributes},
        layout=layout,
    )


def merged_attributes(pieces: Sequence[Piece]) -> dict[str, Any]:
    """Returns the global attributes of a store made of pieces."""

    def found(name: str) -> list[str]:
        return list(dict.fromkeys(str(p.attributes.get(name) or "") for p in pieces))

    files = list(dict.fromkeys(p.source for p in pieces))
    listed = files if len(files) <= 3 else [files[0], "...", files[-1]]
    dois = [f"doi:{doi}" for doi in found("doi") if doi]
    institutions = [name for name in found("institution") if name]
    return {
        "title": "; ".join(t for t in found("title") if t),
        "source": "; ".join([*institutions, f"{len(files)} file(s): {', '.join(listed)}"]),
        "attribution": "; ".join([t for t in found("licence") if t] or [*institutions, *dois]),
        "simulated": any(bool(p.attributes.get("simulated")) for p in pieces),
    }
