"""`atmorep-k data append`: new months join a store, without rewriting it, whole or not at all.

What is new is written beside the old, in `.append` inside the store. Only when all of it is there,
files change places: a moment, which an interrupted run is brought to its end after.
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
from atmorep_k.data.sources.joining import Joined, check_grid, check_step
from atmorep_k.data.sources.pieces import Piece
from atmorep_k.data.sources.selection import Selection
from atmorep_k.data.stores.layout import StoreDescription
from atmorep_k.data.stores.own import OwnStore
from atmorep_k.data.writing.growing import Grown
from atmorep_k.data.writing.preparing import MEMORY, merged_attributes, working_on
from atmorep_k.data.writing.skeleton import SCRATCH
from atmorep_k.earth.times import iso
from atmorep_k.errors import UserError

STAGE, READY = ".append", ".append-ready"
# Attributes that are found anew.
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
    times afterwards. Readers that have the store open go on with the times that they know. Work
    that was stopped from outside goes on with the same call.

    Args:
        store: one of ours.
        sources: files, globs, directories or addresses.
        memory: see `prepare.prepare`.
        workers: see `prepare.prepare`.
        scheduler: see `prepare.prepare`.
        progress: called with the bytes of values (float32) done and their total.
        notify: called with sentences about what was found and left out.

    Returns:
        The path of the store.

    Raises:
        UserError: for everything that a user can mend; the store is then what it was.
    """
    store, notify = Path(store), notify or (lambda sentence: None)
    put_in_place(store)
    old = open_store(store)
    if not isinstance(old, OwnStore) or isinstance(old, LinkedStore):
        raise UserError(f"{store} is no store of 'atmorep-k data prepare': it cannot grow.")
    grown = Grown(old)
    found = find_sources(sources)
    chosen, joined = _fitting(old, found, notify)
    description = _description(grown, chosen, joined)
    options = (memory, workers, scheduler, progress, notify)
    stage = store / STAGE
    with working_on(stage, stage, description, joined, found, options, grown):
        shutil.rmtree(stage / SCRATCH)
        stage.rename(store / READY)
    put_in_place(store)
    return store


def put_in_place(store: Path) -> None:
    """Brings an append that was interrupted in its last moment to its end; else does nothing.

    What tells of the new times comes last, so that until then the old ones are found.
    """
    ready = store / READY
    if not ready.is_dir():
        return
    files = [p for p in ready.rglob("*") if p.is_file()]
    for file in sorted(files, key=lambda p: (p.name == "zarr.json", -len(p.parts))):
        target = store / file.relative_to(ready)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(file, target)
    shutil.rmtree(ready)


def _fitting(
    old: OwnStore, sources: Sequence[str], notify: Callable[[str], None]
) -> tuple[list[Piece], list[Joined]]:
    """Returns what of the sources comes after the store, checked to be of its kind."""
    selection = Selection.of(old.attributes["selection"], old.level)
    chosen, joined = dataclasses.replace(selection, period=None).open(sources, notify)
    grid = {"latitude": old.latitude, "longitude": old.longitude}
    check_grid([dataclasses.replace(chosen[0], source=str(old.path), **grid), *chosen])
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
            f"there is nothing to append: {old.path} ends at {iso(last)}, the sources at "
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
