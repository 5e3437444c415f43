"""`atmorep-k data append`: new months join a store, without rewriting it, whole or not at all.

The new files are written to `.append` inside the store. Only when all of them are complete is that
folder renamed to `.append-ready` and are its files moved over the old ones. The rename decides:
before it an interrupted append changed nothing, after it the next append finishes the moves.
"""

import dataclasses
import datetime
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from atmorep_k._version import __version__
from atmorep_k.data.linked.store import LinkedStore
from atmorep_k.data.opening import open_store
from atmorep_k.data.sources.finding import find_sources
from atmorep_k.data.sources.joining import Joined, check_same_grid, check_step
from atmorep_k.data.sources.pieces import Piece
from atmorep_k.data.sources.selection import Selection
from atmorep_k.data.stores.layout import StoreDescription
from atmorep_k.data.stores.own import OwnStore
from atmorep_k.data.writing.growing import Grown
from atmorep_k.data.writing.preparing import MEMORY, Work, merged_attributes, working_on
from atmorep_k.data.writing.skeleton import SCRATCH
from atmorep_k.earth.times import iso
from atmorep_k.errors import UserError

STAGE, READY = ".append", ".append-ready"
# Attributes that are computed again.
_COMPUTED = ("fingerprint", "is_global", "resolution", "atmorep_k_version", "Conventions")


def append(
    store: Path,
    sources: Sequence[str],
    *,
    memory: str | int = MEMORY,
    workers: int | None = None,
    scheduler: str = "",
    progress: Callable[[int, int], None] | None = None,
    notify: Callable[[str], None] | None = None,
) -> Path:
    """Adds to a store the times of some sources that come after its last.

    Variables, levels, grid, units, layout and packing are the store's. Statistics are those of all
    times afterwards. Readers that have the store open keep seeing the old times. The same call
    resumes work that was stopped from outside.

    Args:
        store: one of ours.
        sources: files, globs, directories or addresses.
        memory: see `prepare.prepare`.
        workers: see `prepare.prepare`.
        scheduler: see `prepare.prepare`.
        progress: called with the bytes of values (float32) done and their total.
        notify: called with sentences about what was found and what was left out.

    Returns:
        The path of the store.

    Raises:
        UserError: for every mistake that a user can correct; the store is then unchanged.
    """
    store, notify = Path(store), notify or (lambda sentence: None)
    move_into_store(store)
    old = open_store(store)
    if not isinstance(old, OwnStore) or isinstance(old, LinkedStore):
        raise UserError(
            f"{store} is not a store made by 'atmorep-k data prepare', so it cannot grow."
        )
    grown = Grown(old)
    found = find_sources(sources)
    chosen, joined = _fitting(old, found, notify)
    description = _description(grown, chosen, joined)
    work = Work(memory, workers, scheduler, progress, notify)
    stage = store / STAGE
    with working_on(stage, stage, description, joined, found, work, grown):
        shutil.rmtree(stage / SCRATCH)
        stage.rename(store / READY)
    move_into_store(store)
    return store


def move_into_store(store: Path) -> None:
    """Finishes an append that was interrupted while its files moved; otherwise does nothing."""
    ready = store / READY
    if not ready.is_dir():
        return
    files = [p for p in ready.rglob("*") if p.is_file()]
    # Chunks move first and the metadata that gives the new length last, that of the root at the
    # very end: a reader that opens the store meanwhile sees the old length, and all its chunks.
    for file in sorted(files, key=lambda p: (p.name == "zarr.json", -len(p.parts))):
        target = store / file.relative_to(ready)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(file, target)
    shutil.rmtree(ready)


def _fitting(
    old: OwnStore, sources: Sequence[str], notify: Callable[[str], None]
) -> tuple[list[Piece], list[Joined]]:
    """Returns the part of the sources that comes after the store, checked to match it."""
    selection = Selection.of(old.attributes["selection"], old.level)
    chosen, joined = dataclasses.replace(selection, period=None).open(sources, notify)
    stored = dataclasses.replace(
        chosen[0], source=str(old.path), latitude=old.latitude, longitude=old.longitude
    )
    check_same_grid([stored, *chosen])
    for of in joined:
        if of.info.units != old.variables[of.name].units:
            raise UserError(
                f"{of.name!r} is in {of.info.units or 'unknown units'} in the sources, and in "
                f"{old.variables[of.name].units} in {old.path}."
            )
    last = old.time[-1].astype("datetime64[s]")
    after = int(np.searchsorted(joined[0].time, last, side="right"))
    if after == len(joined[0].time):
        raise UserError(
            f"nothing to append: {old.path} ends at {iso(last)}, the sources at "
            f"{iso(joined[0].time[-1])}."
        )
    if after:
        notify(f"left out {after} times up to {iso(last)}, where the store ends.")
    check_step(np.concatenate([old.time.astype("datetime64[s]"), joined[0].time[after:]]))
    return chosen, [of.after(after) for of in joined]


def _description(
    grown: Grown, chosen: Sequence[Piece], joined: Sequence[Joined]
) -> StoreDescription:
    old = grown.store
    time = joined[0].time
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    found, attributes = merged_attributes(chosen), dict(old.attributes)
    added = {"first": iso(time[0]), "last": iso(time[-1]), "source": found["source"]}
    attributes["history"] = f"{attributes['history']}\n{now} appended by atmorep_k {__version__}"
    attributes["appended"] = [*attributes.get("appended", []), added]
    return StoreDescription(
        time=np.concatenate([old.time, time.astype("datetime64[ns]")]),
        level=old.level,
        latitude=old.latitude,
        longitude=old.longitude,
        variables=old.variables,
        attributes={k: v for k, v in attributes.items() if k not in _COMPUTED},
        layout=grown.layout,
    )
