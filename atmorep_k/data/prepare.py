"""`atmorep-k data prepare`: raw files in, a store out, with bounded memory, whole or not at all."""

import contextlib
import fcntl
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from atmorep_k.data.crop import crop
from atmorep_k.data.derived import derive
from atmorep_k.data.executors import executor
from atmorep_k.data.joining import Joined, join
from atmorep_k.data.layout import Layout
from atmorep_k.data.memory import Memory, parse_size
from atmorep_k.data.pieces import Piece
from atmorep_k.data.preparation import SCRATCH, Preparation
from atmorep_k.data.sources import find_sources, open_sources
from atmorep_k.data.store import StoreDescription, check_output
from atmorep_k.data.variables import canonical_name
from atmorep_k.data.writing import writing_to
from atmorep_k.errors import UserError, unknown
from atmorep_k.files import put_in_place

MEMORY = "4GB"
_UNKNOWN = "not in the table of variables (--variable NAME takes one)"


def prepare(
    sources: Sequence[str],
    output: Path,
    *,
    variables: Sequence[str] = (),
    levels: Sequence[float] = (),
    region: Sequence[float] | None = None,
    derived: Sequence[str] = (),
    attributes: dict[str, Any] | None = None,
    layout: Layout | None = None,
    memory: str | int = MEMORY,
    workers: int | None = None,
    scheduler: str = "",
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
    notify: Callable[[str], None] | None = None,
) -> Path:
    """Turns GRIB, NetCDF and Zarr into a store.

    Work that was stopped from outside lies in `<output>.partial`; the same call goes on with it.

    Args:
        sources: files, globs, directories or addresses.
        output: the store to make.
        variables: names, under any alias; all known variables if empty.
        levels: levels wanted; all if empty.
        region: (south, north, west, east) in degrees; the whole grid if None.
        derived: `"vorticity"`, `"divergence"`: computed from the wind of the sources.
        attributes: global attributes that take the place of those found (`attribution`).
        layout: how values are cut, packed and compressed.
        memory: bytes, or words such as `4GB`, that all processes together keep within; with a
            scheduler, each of its threads does.
        workers: processes at most; None for one per processor, as far as the memory goes.
        scheduler: address of a scheduler of dask.distributed to do the work.
        overwrite: replace an existing store.
        progress: called with the bytes of values (float32) done and their total; with packing
            they count twice.
        notify: called with sentences about what was found and left out.

    Returns:
        The path of the store.

    Raises:
        UserError: for everything that a user can mend; nothing is left behind.
    """
    notify = notify or (lambda sentence: None)
    output = Path(output)
    check_output(output, overwrite)
    found = find_sources(sources)
    pieces, left_out = open_sources(found)
    pieces = derive(pieces, derived)
    variables = [*variables, *derived] if variables else ()
    chosen = choose(pieces, left_out, variables, notify)
    chosen = crop(chosen, region) if region else chosen
    joined = join(chosen, levels)
    description = _describe(chosen, joined, attributes or {}, layout or Layout())
    total = parse_size(memory)
    of = Memory.shared(total, 1 if scheduler else workers, joined, description)
    preparation = Preparation(
        output.with_name(f"{output.name}.partial"),
        description,
        {j.name: j for j in joined},
        of,
        [identity(source) for source in found],
    )
    with begun(output, preparation.store):
        with executor(of.workers, scheduler) as (pool, at_once):
            if preparation.begin():
                notify(f"going on with the work found in {preparation.store}.")
            preparation.carry_out(pool, at_once, progress or (lambda done, total: None))
        put_in_place(preparation.store, output)
        shutil.rmtree(output / SCRATCH)
    return output


def identity(source: str) -> tuple[str, int, int]:
    """Returns what tells a source from what it may be later: its name, size and time of change."""
    if "://" in source:
        return source, 0, 0
    stat = Path(source).stat()
    return str(Path(source).absolute()), stat.st_size, stat.st_mtime_ns


@contextlib.contextmanager
def begun(output: Path, partial: Path) -> Iterator[None]:
    """Work on a directory beside its final name: alone, removed where it fails, kept if stopped.

    Raises:
        UserError: where another process is at it, or the place cannot be written.
    """
    with _new_parents(output), _alone(partial), _kept_if_stopped(partial), writing_to(output):
        yield


@contextlib.contextmanager
def _new_parents(output: Path) -> Iterator[None]:
    """Makes the directory of the output; where the work fails it goes again, if it is empty."""
    new = [p for p in output.absolute().parents if not p.exists()]
    try:
        with writing_to(output):
            output.absolute().parent.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for parent in new:
            with contextlib.suppress(OSError):
                parent.rmdir()
        raise


@contextlib.contextmanager
def _alone(partial: Path) -> Iterator[None]:
    """Makes sure that no other process prepares the same store."""
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
    """Removes work that failed; what was stopped from outside can be gone on with."""
    try:
        yield
    except Exception:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def choose(
    pieces: Sequence[Piece],
    left_out: dict[str, str],
    variables: Sequence[str],
    notify: Callable[[str], None],
) -> list[Piece]:
    """Returns the pieces to store: those named, or all that are known.

    Raises:
        UserError: where a variable is not there, cannot be stored, or nothing is left.
    """
    if not variables:
        chosen = [p for p in pieces if p.is_known]
        unknowns = sorted({p.name for p in pieces if not p.is_known})
        _tell({**left_out, **dict.fromkeys(unknowns, _UNKNOWN)}, notify)
        if not chosen:
            names = f" There are: {', '.join(unknowns)}; name one." if unknowns else ""
            found = "; ".join(f"{n}: {why}" for n, why in sorted(left_out.items())[:3])
            raise UserError(f"no known variable was found.{names} {found}".strip())
    else:
        chosen = [p for name in variables for p in _named(name, pieces, left_out)]
    _check_distinct(chosen)
    return list({id(p): p for p in chosen}.values())


def _tell(left_out: dict[str, str], notify: Callable[[str], None]) -> None:
    for why in dict.fromkeys(left_out.values()):
        names = sorted(name for name, reason in left_out.items() if reason == why)
        notify(f"left out {', '.join(names)}: {why}.")


def _named(name: str, pieces: Sequence[Piece], left_out: dict[str, str]) -> list[Piece]:
    exact = [p for p in pieces if p.source_name == name]
    found = exact or [p for p in pieces if canonical_name(name) == p.name]
    if found:
        return found
    for other, why in left_out.items():
        if canonical_name(name) == canonical_name(other):
            raise UserError(f"variable {name!r} cannot be stored: {why}.")
    raise unknown("variable in the sources", name, {p.name for p in pieces})


def _check_distinct(pieces: Sequence[Piece]) -> None:
    """Refuses two variables of one source that have one name in the store."""
    names: dict[tuple[str, str], str] = {}
    for piece in pieces:
        other = names.setdefault((piece.source, piece.name), piece.source_name)
        if other != piece.source_name:
            raise UserError(
                f"{piece.source}: {other!r} and {piece.source_name!r} are both {piece.name!r}; "
                f"choose one of them with --variable."
            )


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
