"""`atmorep-k data prepare`: raw files in, a store out, with bounded memory, whole or not at all."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from atmorep_k.data.crop import crop
from atmorep_k.data.derived import derive
from atmorep_k.data.joining import Joined, join
from atmorep_k.data.layout import TIME_SHARD
from atmorep_k.data.period import within
from atmorep_k.data.pieces import Piece
from atmorep_k.data.sources import find_sources, open_sources
from atmorep_k.data.store import StoreDescription, check_output, write_store
from atmorep_k.data.variables import canonical_name
from atmorep_k.errors import UserError, unknown

# Sources with long chunks in time are read several shards at a time, up to so many bytes;
# those on small grids too, to save calls.
_READ_BYTES = 2**29
_SMALL_BYTES = 2**25
_UNKNOWN = "not in the table of variables (--variable NAME takes one)"


def prepare(
    sources: Sequence[str],
    output: Path,
    *,
    variables: Sequence[str] = (),
    levels: Sequence[float] = (),
    region: Sequence[float] | None = None,
    derived: Sequence[str] = (),
    grid: float | None = None,
    period: Sequence[str] | None = None,
    attributes: dict[str, Any] | None = None,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
    notify: Callable[[str], None] | None = None,
) -> Path:
    """Turns GRIB, NetCDF and Zarr into a store.

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
        overwrite: replace an existing store.
        progress: called with the bytes of values (float32) done and their total.
        notify: called with sentences about what was found and left out.

    Returns:
        The path of the store.

    Raises:
        UserError: for everything that a user can mend; nothing is left behind.
    """
    check_output(Path(output), overwrite)
    pieces, left_out = open_sources(find_sources(sources), grid)
    pieces = derive(pieces, derived)
    variables = [*variables, *derived] if variables else ()
    chosen = choose(pieces, left_out, variables, notify or (lambda sentence: None))
    chosen = crop(chosen, region) if region else chosen
    chosen = within(chosen, period) if period else chosen
    joined = join(chosen, levels)
    description = _describe(chosen, joined, attributes or {})
    blocks = _blocks(joined, description, progress)
    return write_store(Path(output), description, blocks, overwrite=overwrite)


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
    pieces: Sequence[Piece], joined: Sequence[Joined], attributes: dict[str, Any]
) -> StoreDescription:
    level = next((j.level for j in joined if len(j.level)), np.zeros(0))
    kind = next((p.level_type for p in pieces if len(p.level)), "")
    return StoreDescription(
        time=joined[0].time,
        level=level,
        latitude=pieces[0].latitude,
        longitude=pieces[0].longitude,
        variables={j.name: j.info for j in joined},
        attributes={**_attributes(pieces), "level_type": kind, **attributes},
    )


def _attributes(pieces: Sequence[Piece]) -> dict[str, Any]:
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


def _blocks(
    joined: Sequence[Joined],
    description: StoreDescription,
    progress: Callable[[int, int], None] | None,
) -> Iterator[dict[str, np.ndarray]]:
    """Yields one variable at a time, a whole number of time shards each; all keep pace."""
    num_times = len(description.time)
    size = {j.name: 4 * int(np.prod(description.shape(j.name)[1:])) for j in joined}
    ends = dict.fromkeys(size, 0)
    done, total = 0, num_times * sum(size.values())
    if progress:
        progress(done, total)
    while done < total:
        variable = min(joined, key=lambda j: ends[j.name])
        start = ends[variable.name]
        stop = min(start + _steps_to_read(variable, size[variable.name]), num_times)
        yield {variable.name: variable.read(start, stop)}
        ends[variable.name] = stop
        done += (stop - start) * size[variable.name]
        if progress:
            progress(done, total)


def _steps_to_read(variable: Joined, step_bytes: int) -> int:
    """Returns how many steps to read at once: one time shard, or a few where that is faster."""
    wanted = -(-variable.time_chunk // TIME_SHARD)
    affordable = _READ_BYTES // (step_bytes * TIME_SHARD)
    small = _SMALL_BYTES // (step_bytes * TIME_SHARD)
    return TIME_SHARD * max(1, small, min(wanted, affordable))
