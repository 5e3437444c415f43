"""Files that appear whole or not at all."""

import contextlib
import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from atmorep_k.errors import UserError


def write_whole(path: Path, write: Callable[[Path], object]) -> Path:
    """Lets `write` fill a file beside `path`, which is renamed when it is complete.

    Raises:
        UserError: where the disk is full or the place is not writable.
    """
    path = Path(path)
    # The ending stays: Keras and matplotlib choose the format by it.
    partial = path.with_name(f".partial-{os.getpid()}-{path.name}")
    try:
        write(partial)
        os.replace(partial, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        if isinstance(error, OSError):
            raise cannot_write(path, error) from error
        raise
    return path


def cannot_write(path: Path, error: OSError) -> UserError:
    """Returns the error that says in one sentence why `path` cannot be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        above = next(p for p in Path(path).absolute().parents if p.exists())
        free = shutil.disk_usage(above).free / 1e6
        return UserError(f"no room left to write {path}: {free:.0f} MB are free on that disk.")
    return UserError(f"cannot write {path}: {error.strerror or error}.")
