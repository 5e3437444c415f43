"""Radar composites of the German Weather Service (RADOLAN, RADKLIM) as pieces on a regular grid."""

import datetime
import functools
import gzip
import re
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from atmorep_k.data.sources.pieces import Piece
from atmorep_k.errors import UserError, missing_extra

# Products that are amounts of precipitation, and the minutes over which they are summed.
_MINUTES = {"RW": 60, "RQ": 60, "RZ": 5, "RY": 5, "YW": 5, "SF": 1440}
_BINARY = re.compile(rb"([A-Z]{2})\d{6}\d{5}\d{4}BY")
_ASCII = re.compile(r"(?:.*/)?([A-Z]{2})_(\d{8})-(\d{4})\.asc")
_FINEST = 0.02


def is_radolan(path: Path) -> bool:
    """Returns whether a file is a binary composite, packed or not, or an archive of composites."""
    if tarfile.is_tarfile(path):
        return bool(_members(path))
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            return _BINARY.match(file.read(64)) is not None
    except (OSError, EOFError):
        return False


def radolan_pieces(path: Path, grid: float | None) -> tuple[list[Piece], dict[str, str]]:
    """Returns the precipitation of a composite or of an archive (tar) of them.

    Args:
        path: a binary composite (packed by gzip or not), or a tar of these or of ASCII files.
        grid: degrees between the points of the regular grid that it is brought to.

    Raises:
        UserError: if no grid is given or it is too fine, wradlib is not installed, or the
            composite is damaged, of another product or on a grid that is not known.
    """
    if grid is None or not _FINEST <= grid <= 10:
        raise UserError(
            f"{path.name} is on the grid of the radar (1 km); give the degrees of a regular one "
            f"from {_FINEST} to 10, not {grid}: --grid 0.1."
        )
    headers = _headers(path)
    order = np.argsort([time for time, *_ in headers], kind="stable")
    times, members, products, shapes = zip(*(headers[i] for i in order), strict=True)
    product = _one(path, "products", set(products))
    shape = _one(path, "grids", set(shapes))
    if product not in _MINUTES:
        raise UserError(
            f"{path.name} is of the product {product!r}, which is not an amount of precipitation "
            f"that is known ({', '.join(_MINUTES)})."
        )
    _, latitude, longitude = _cells(*shape, grid)
    piece = Piece(
        source_name="total_precipitation",
        source=path.name,
        time=np.array(times, "datetime64[s]"),
        level=np.zeros(0),
        level_type="",
        latitude=latitude,
        longitude=longitude,
        units="mm",
        standard_name="",
        long_name="precipitation",
        attributes={"institution": "Deutscher Wetterdienst", "title": f"RADOLAN {product}"},
        read=_Reader(path, members, shape, grid),
        comment=f"radar product {product}: the sum over the {_MINUTES[product]} minutes that end "
        f"at the time; mean of the radar's cells around each point",
    )
    return [piece], {}


def _one(path: Path, what: str, found: set) -> Any:
    if len(found) > 1:
        raise UserError(f"{path.name} has several {what}: {', '.join(map(str, sorted(found)))}.")
    return next(iter(found))


def _wradlib():
    try:
        import wradlib.georef
        import wradlib.io.radolan
    except ImportError as error:
        raise missing_extra("wradlib, which reads RADOLAN,", "radar") from error
    return wradlib


def _members(path: Path) -> list[str]:
    """Returns the names of the composites in an archive."""
    with tarfile.open(path) as archive:
        files = [m.name for m in archive if m.isfile()]
    return [n for n in files if _ASCII.fullmatch(n) or "dwd---bin" in n]


def _headers(path: Path) -> list[tuple]:
    """Returns of each composite: time at which its sum ends, member, product and shape."""
    if not tarfile.is_tarfile(path):
        return [_header(path, None)]
    headers = []
    with tarfile.open(path) as archive, tempfile.TemporaryDirectory() as folder:
        for member in _members(path):
            archive.extract(member, folder, filter="data")
            headers.append(_header(Path(folder) / member, member))
            (Path(folder) / member).unlink()
    return headers


def _header(path: Path, member: str | None) -> tuple:
    _, about = _composite(path, loaddata=False)
    product, time = about["producttype"], about["datetime"].replace(tzinfo=None)
    if match := _ASCII.fullmatch(member or ""):
        product, time = match[1], datetime.datetime.strptime(match[2] + match[3], "%Y%m%d%H%M")
    # A nowcast is placed by the time that it is for.
    time += datetime.timedelta(minutes=int(about.get("predictiontime", 0)))
    return time, member, product, (int(about["nrow"]), int(about["ncol"]))


def _composite(path: Path, **options: Any) -> tuple[np.ndarray, dict[str, Any]]:
    radolan = _wradlib().io.radolan
    try:
        return radolan.read_radolan_composite(str(path), **options)
    except (OSError, EOFError, ValueError, KeyError, IndexError, AttributeError) as error:
        raise UserError(
            f"{path.name} cannot be read as a composite of RADOLAN: it is damaged, cut off, or of "
            f"another kind ({error})."
        ) from error


@functools.lru_cache(maxsize=2)
def _cells(rows: int, columns: int, grid: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the point (row-major) that each radar cell belongs to, and the points' axes."""
    try:
        places = _wradlib().georef.get_radolan_grid(rows, columns, wgs84=True, mode="center")
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"unknown radar grid of {rows} x {columns} cells.") from error
    across, down = (np.rint(places[..., i].ravel() / grid).astype(int) for i in (0, 1))
    longitude = np.round(np.arange(across.min(), across.max() + 1) * grid, 6)
    latitude = np.round(np.arange(down.max(), down.min() - 1, -1) * grid, 6)
    index = (down.max() - down) * len(longitude) + across - across.min()
    return index, latitude, longitude


class _Reader:
    """Reads composites and averages their cells around each point of a regular grid.

    Args:
        path: the composite or the archive.
        members: names in the archive in the order of time; None for a file of its own.
        shape: rows and columns of the radar's grid.
        grid: degrees between the points.
    """

    def __init__(self, path: Path, members: tuple, shape: tuple[int, int], grid: float):
        self._path, self._members, self._shape, self._grid = path, members, shape, grid

    def __call__(self, start: int, stop: int, level_index: np.ndarray) -> np.ndarray:
        if self._members[0] is None:
            return self._mean(self._path)[None, None]
        fields = []
        with tarfile.open(self._path) as archive, tempfile.TemporaryDirectory() as folder:
            for member in self._members[start:stop]:
                archive.extract(member, folder, filter="data")
                fields.append(self._mean(Path(folder) / member))
                (Path(folder) / member).unlink()
        return np.stack(fields)[:, None]

    def _mean(self, path: Path) -> np.ndarray:
        """Returns the mean (lat, lon) of the cells with a value; NaN where there is none."""
        values, about = _composite(path)
        index, latitude, longitude = _cells(*self._shape, self._grid)
        flat = np.where(values == about["nodataflag"], np.nan, values).ravel()
        valid, size = np.isfinite(flat), len(latitude) * len(longitude)
        total = np.bincount(index[valid], flat[valid], size)
        number = np.bincount(index[valid], minlength=size)
        mean = np.divide(total, number, out=np.full(size, np.nan), where=number > 0)
        return mean.reshape(len(latitude), len(longitude)).astype(np.float32)
