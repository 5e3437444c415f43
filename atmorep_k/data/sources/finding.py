"""From what a user names (files, globs, directories, addresses) to the pieces that are in it."""

import glob
from collections.abc import Iterable, Sequence
from pathlib import Path

from atmorep_k.data.sources.pieces import Piece
from atmorep_k.errors import UserError, nearest

_ZARR_FILES = ("zarr.json", ".zgroup", ".zmetadata")
_ENDINGS = (".grib", ".grb", ".grib1", ".grib2", ".grb2", ".nc", ".nc4", ".netcdf", ".cdf")
_RADAR = ("-bin", "-bin.gz")
_HDF = b"\x89HDF"
_CLASSIC = b"CDF"
_PACKED = {b"PK\x03\x04": "a zip archive", b"\x1f\x8b": "compressed by gzip", b"BZh": "by bzip2"}


def find_sources(sources: Sequence[str]) -> list[str]:
    """Returns the files, Zarr directories and addresses that the sources stand for, in order.

    Args:
        sources: paths, globs (`**` goes into folders), directories, or addresses with `://`.

    Raises:
        UserError: if a source does not exist or a directory holds nothing that can be read.
    """
    found: dict[str, None] = {}
    for source in map(str, sources):
        if "://" in source:
            found[source] = None
            continue
        paths = [source] if Path(source).exists() else sorted(glob.glob(source, recursive=True))
        if not paths:
            parent = Path(source).absolute().parent
            names = [p.name for p in parent.iterdir()] if parent.is_dir() else []
            raise UserError(f"no file named {source!r}{nearest(Path(source).name, names)}")
        for path in paths:
            found.update(dict.fromkeys(map(str, _inside(Path(path)))))
    return list(found)


def _inside(path: Path) -> list[Path]:
    """Returns the path itself, or what can be read in a directory that is no Zarr."""
    if not path.is_dir() or _is_zarr(path):
        return [path]
    files = [p for p in sorted(path.iterdir()) if _has_ending(p) or _is_zarr(p)]
    if not files:
        raise UserError(f"{path} contains no GRIB, NetCDF or Zarr data.")
    return files


def _has_ending(path: Path) -> bool:
    return path.suffix.lower() in _ENDINGS or path.name.endswith(_RADAR)


def _is_zarr(path: Path) -> bool:
    return path.is_dir() and any((path / name).is_file() for name in _ZARR_FILES)


def open_sources(
    sources: Iterable[str], grid: float | None = None
) -> tuple[list[Piece], dict[str, str]]:
    """Opens sources (as `find_sources` gives them); nothing but headers is read.

    Args:
        sources: files, Zarr directories and addresses.
        grid: degrees between the points of the grid to which radar is brought.

    Returns:
        The variables found, and those that cannot be stored: name -> why.

    Raises:
        UserError: if a source is damaged, cut off or of an unknown kind.
    """
    pieces: list[Piece] = []
    left_out: dict[str, str] = {}
    for source in sources:
        found, reasons = _open(source, grid)
        pieces += found
        left_out.update(reasons)
    kept = {p.source_name for p in pieces} | {p.name for p in pieces}
    return pieces, {name: why for name, why in left_out.items() if name not in kept}


def _open(source: str, grid: float | None) -> tuple[list[Piece], dict[str, str]]:
    from atmorep_k.data.sources.cf import netcdf_pieces
    from atmorep_k.data.sources.grib import grib_pieces
    from atmorep_k.data.sources.original import is_original, original_pieces
    from atmorep_k.data.sources.radolan import is_radolan, radolan_pieces

    path = Path(source)
    if path.is_dir() and is_original(path):
        return original_pieces(path)
    if "://" in source or path.is_dir():
        return _open_zarr(source)
    start = _first_bytes(path)
    if start.startswith((_HDF, _CLASSIC)):
        return netcdf_pieces(path)
    if b"GRIB" in start:
        return grib_pieces(path)
    if is_radolan(path):
        return radolan_pieces(path, grid)
    for mark, words in _PACKED.items():
        if start.startswith(mark):
            raise UserError(f"{path.name} is {words}; unpack it first.")
    raise UserError(f"{path.name} is not a GRIB, NetCDF, RADOLAN or Zarr file.")


def _open_zarr(source: str) -> tuple[list[Piece], dict[str, str]]:
    """Opens a Zarr directory or address, with the axes of CF or as anemoi has them."""
    import zarr

    from atmorep_k.data.sources.anemoi import anemoi_pieces, is_anemoi
    from atmorep_k.data.sources.cf import zarr_pieces
    from atmorep_k.data.stores.address import open_remote_group

    try:
        group = open_remote_group(source) if "://" in source else zarr.open_group(source, mode="r")
    except (OSError, ValueError, KeyError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{source} cannot be opened as Zarr: {error}.") from error
    name = source.rstrip("/").rsplit("/", 1)[-1]
    return anemoi_pieces(group, name) if is_anemoi(group) else zarr_pieces(group.store, name)


def _first_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(256)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
