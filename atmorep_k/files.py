"""Outputs: where they may be written, files that appear whole or not at all, and checksums."""

import contextlib
import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from atmorep_k.errors import UserError

# Files are read so many bytes at a time where they may be larger than memory allows.
_PIECE = 2**22


def check_output(
    path: Path,
    overwrite: bool,
    endings: Sequence[str] = (),
    kind: str = "a file",
    is_ours: Callable[[Path], bool] = Path.is_file,
    any_case: bool = False,
) -> None:
    """Check that an output may be written to `path`, before any work.

    Args:
        path: the file or directory to write; directories above it may be missing.
        overwrite: whether what is there may be replaced.
        endings: what the name may end in; any, if empty.
        kind: what is written, with its article.
        is_ours: tells whether what is there is of that kind; nothing else is ever replaced.
        any_case: whether the ending may be in upper case.

    Raises:
        UserError: if the name has another ending, the path exists and may not be replaced, or the
            place is not a writable directory.
    """
    path = Path(path)
    suffix = path.suffix.lower() if any_case else path.suffix
    if endings and suffix not in endings:
        *others, last = endings
        allowed = f"{', '.join(others)} or {last}" if others else last
        raise UserError(f"cannot write {kind} to {path}: the name must end in {allowed}.")
    if path.exists() and not overwrite:
        raise UserError(f"{path} already exists; give another name or --overwrite.")
    if path.exists() and not is_ours(path):
        raise UserError(f"{path} exists and is not {kind}; it is not overwritten.")
    check_place(path)


def check_place(path: Path) -> None:
    """Check that something can be made at `path`, with the directories above it.

    Raises:
        UserError: if the first of them that exists is not a writable directory.
    """
    place = next(p for p in Path(path).absolute().parents if p.exists())
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        raise UserError(f"cannot write {path}: {place} is not a writable directory.")


def check_model_output(path: Path, overwrite: bool) -> None:
    """Check that a model may be written to `path`, as `check_output` does.

    Raises:
        UserError: also if the directory of the file does not exist.
    """
    check_output(path, overwrite, (".keras",), "a model")
    if not (directory := Path(path).absolute().parent).is_dir():
        raise UserError(f"cannot write {path}: the directory {directory} does not exist.")


def write_whole(path: Path, write: Callable[[Path], object]) -> Path:
    """Write a file beside `path` with `write`, and rename it to `path` when it is complete.

    Raises:
        UserError: if the disk is full or the directory is not writable.
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


@contextlib.contextmanager
def writing_whole(path: Path) -> Iterator[Path]:
    """Yield a name beside `path` for a file or directory, which replaces `path` at the end.

    If the body fails, what it wrote is removed and `path` stays as it was.

    Raises:
        UserError: if the disk is full or the directory is not writable.
    """
    path = Path(path)
    partial = path.with_name(f".partial-{os.getpid()}-{path.name}")
    try:
        with new_parents(path):
            try:
                yield partial
                put_in_place(partial, path)
            except BaseException:
                _remove(partial)
                raise
    except OSError as error:
        raise cannot_write(path, error) from error


@contextlib.contextmanager
def new_parents(path: Path) -> Iterator[None]:
    """Make the directories above a path; if the body fails, remove those that are empty."""
    new = [p for p in path.absolute().parents if not p.exists()]
    try:
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for parent in new:
            with contextlib.suppress(OSError):
                parent.rmdir()
        raise


def put_in_place(partial: Path, path: Path) -> None:
    """Rename a file or directory to `path`, then remove what was there before."""
    if not path.exists():
        partial.rename(path)
        return
    old = path.with_name(f"{path.name}.old-{os.getpid()}")
    path.rename(old)
    try:
        partial.rename(path)
    except BaseException:
        old.rename(path)
        raise
    _remove(old)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def cannot_write(path: Path, error: OSError) -> UserError:
    """Return the error that says why `path` cannot be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        above = next(p for p in Path(path).absolute().parents if p.exists())
        free = shutil.disk_usage(above).free / 1e6
        return UserError(f"no room left to write {path}: {free:.0f} MB are free on that disk.")
    return UserError(f"cannot write {path}: {error.strerror or error}.")


def user_cache() -> Path:
    """Return the directory for files that can be recomputed.

    `$ATMOREP_K_CACHE`, else `$XDG_CACHE_HOME/atmorep_k`, else `~/.cache/atmorep_k`.
    """
    if "ATMOREP_K_CACHE" in os.environ:
        return Path(os.environ["ATMOREP_K_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "atmorep_k"


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, as hexadecimal digits."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def file_crc32c(path: Path) -> int:
    """Return the CRC-32C of a file, which is read a piece at a time."""
    import google_crc32c

    value = 0
    with Path(path).open("rb") as stream:
        while piece := stream.read(_PIECE):
            value = google_crc32c.extend(value, piece)
    return value
