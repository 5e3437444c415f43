"""Writing a store from values that a program makes: blocks in, a store out, whole or not at all.

Everything is written beside the final name, which appears only when all is there.
"""

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from atmorep_k.data.stores.layout import StoreDescription
from atmorep_k.data.stores.packing import Packing
from atmorep_k.data.writing.blocks import BlockWriter
from atmorep_k.data.writing.finishing import finish
from atmorep_k.data.writing.skeleton import SCRATCH, create_skeleton
from atmorep_k.data.writing.variable_writer import VariableWriter
from atmorep_k.errors import UserError
from atmorep_k.files import check_output, new_parents, put_in_place

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def write_store(
    output: Path,
    description: StoreDescription,
    blocks: Iterable[dict[str, np.ndarray]],
    *,
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
    packings: Mapping[str, Packing] | None = None,
) -> Path:
    """Writes a store beside its final name and renames it when it is complete.

    Args:
        output: the directory to make.
        description: coordinates, variables and attributes.
        blocks: `{variable: (time, level, latitude, longitude)}` float32, the level axis of size
            1 at the surface. A block has any number of time steps of any of the variables; those
            of one variable follow each other and cover `description.time` exactly.
        overwrite: replace an existing store.
        progress: called with the number of time steps written so far, of all variables.
        packings: variable -> how it is packed, if the layout says so.

    Returns:
        The path of the store.

    Raises:
        UserError: if the output exists or cannot be written, the disk is full, or a value is
            missing or not finite. Nothing is left behind.
    """
    output = Path(output)
    check_output(output, overwrite, kind="a store", is_ours=is_store)
    # Beside the output, hence on the same file system, where a rename is atomic: a reader finds the
    # whole store or none, whenever this process ends.
    partial = output.with_name(f"{output.name}.partial-{os.getpid()}")
    with contextlib.ExitStack() as made:
        with writing_to(output):
            made.enter_context(new_parents(output))
        try:
            with writing_to(output):
                writers = _writers(partial, description, packings or {})
            for block in blocks:
                with writing_to(output):
                    for name, values in block.items():
                        writers[name].add(values)
                del block  # lest it is held while the next one is read
                if progress:
                    progress(min(writer.end for writer in writers.values()))
            with writing_to(output):
                _finish(partial, description, writers)
                put_in_place(partial, output)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
    return output


def is_store(path: Path) -> bool:
    """Return whether a directory holds a store, so that another may replace it."""
    try:
        attributes = json.loads((path / "zarr.json").read_text())["attributes"]
    except (OSError, ValueError, KeyError):
        return False
    return "atmorep_k_version" in attributes


def _writers(
    path: Path, description: StoreDescription, packings: Mapping[str, Packing]
) -> dict[str, VariableWriter]:
    if description.layout.packing == "int16" and set(packings) != set(description.variables):
        raise ValueError("a store packed as int16 needs the packing of every variable.")
    scratch = path / SCRATCH
    scratch.mkdir(parents=True)
    create_skeleton(path, description, packings)
    shard = description.layout.shard[0]
    return {
        name: VariableWriter(
            BlockWriter.of(name, path, description, packings.get(name), scratch), shard
        )
        for name in description.variables
    }


def _finish(
    path: Path, description: StoreDescription, writers: Mapping[str, VariableWriter]
) -> None:
    for writer in writers.values():
        writer.finish()
    statistics = {name: of.statistics for name, of in writers.items()}
    checksums = {name: np.concatenate(of.checksums) for name, of in writers.items()}
    finish(path, description, statistics, checksums)
    shutil.rmtree(path / SCRATCH)


@contextlib.contextmanager
def writing_to(output: Path) -> Iterator[None]:
    """Turns an `OSError` into one sentence that says why the store cannot be written.

    Raises:
        UserError: if the disk is full or the place cannot be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise UserError(
                f"the disk is too full to write {output}; nothing was left behind."
            ) from error
        raise UserError(f"cannot write {output}: {error.strerror or error}.") from error
