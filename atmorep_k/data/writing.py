"""Writing a store: blocks of values in, tiles in shards and monthly statistics out, whole or not.

Everything is written beside the final name, which appears only when all is there.
"""

import contextlib
import datetime
import errno
import hashlib
import itertools
import json
import os
import shutil
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from atmorep_k._version import __version__
from atmorep_k.data.layout import StoreDescription, encode_time, level_attributes
from atmorep_k.data.statistics import MONTHS, MonthlyStatistics, months_of
from atmorep_k.data.variable_writer import VariableWriter, assign
from atmorep_k.errors import UserError
from atmorep_k.files import put_in_place

# Months of statistics are written together up to so many values, to save calls on small grids.
_HELD_VALUES = 2**22
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_GRID = ("latitude", "longitude")
# Left out of the fingerprint: they say when and by what a store was made, not what is in it.
_NOT_PRINTED = ("history", "atmorep_k_version", "fingerprint")


def write_store(
    output: Path,
    description: StoreDescription,
    blocks: Iterable[dict[str, np.ndarray]],
    *,
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
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

    Returns:
        The path of the store.

    Raises:
        UserError: where the output exists or cannot be written, the disk is full, or a value is
            missing or not finite. Nothing is left behind.
    """
    output = Path(output)
    check_output(output, overwrite)
    partial = output.with_name(f"{output.name}.partial-{os.getpid()}")
    new_parents = [p for p in output.absolute().parents if not p.exists()]
    try:
        with _writing(output):
            writer = _Writer(partial, description)
        for block in blocks:
            with _writing(output):
                writer.add(block)
            del block  # lest it is held while the next one is read
            if progress:
                progress(writer.num_times)
        with _writing(output):
            writer.finish()
            put_in_place(partial, output)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        for parent in new_parents:
            with contextlib.suppress(OSError):
                parent.rmdir()
        raise
    return output


def check_output(output: Path, overwrite: bool) -> None:
    """Checks that `output` may be written, before any work.

    Raises:
        UserError: where it exists (and is not to be replaced), or the place cannot be written.
    """
    if output.exists() and not overwrite:
        raise UserError(f"{output} exists already; give another name or --overwrite.")
    if output.exists() and not _is_store(output):
        raise UserError(f"{output} exists and is no store; it is not overwritten.")
    place = next(p for p in output.absolute().parents if p.exists())
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        raise UserError(f"cannot write {output}: {place} is no directory one may write into.")


def _is_store(path: Path) -> bool:
    try:
        attributes = json.loads((path / "zarr.json").read_text())["attributes"]
    except (OSError, ValueError, KeyError):
        return False
    return "atmorep_k_version" in attributes


@contextlib.contextmanager
def _writing(output: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise UserError(
                f"no room on disk to write {output}; nothing was left behind."
            ) from error
        raise UserError(f"cannot write {output}: {error.strerror or error}.") from error


class _Writer:
    """The store being written: arrays, values that wait for a full shard, statistics."""

    def __init__(self, path: Path, description: StoreDescription):
        import zarr

        self._description = description
        self._scratch = path / ".scratch"
        self._scratch.mkdir(parents=True)
        self._group = zarr.open_group(path, mode="a", zarr_format=3)
        self._months = months_of(description.time)
        self._hash = hashlib.sha256()
        self._write_coordinates()
        self._variables = {name: self._new_variable(name) for name in description.variables}

    @property
    def num_times(self) -> int:
        """Time steps taken in of every variable."""
        return min(v.end for v in self._variables.values())

    def _new_variable(self, name: str) -> VariableWriter:
        d = self._description
        info = d.variables[name]
        chunks, shards = d.tiles(name)
        attributes = {
            "units": info.units,
            "standard_name": info.standard_name,
            "long_name": info.long_name,
            "comment": info.comment,
        }
        array = self._array(
            name,
            d.shape(name),
            "float32",
            d.dimensions(name),
            {k: v for k, v in attributes.items() if v or k == "units"},
            chunks=chunks,
            shards=shards,
        )
        shape = (d.levels_of(name), len(d.latitude), len(d.longitude))
        statistics = MonthlyStatistics(shape, d.latitude, self._scratch, name)
        return VariableWriter(name, array, d.time, self._months, shape, statistics)

    def _array(self, name, shape, dtype, dimensions, attributes, **tiles):
        from zarr.codecs import BloscCodec

        size = np.dtype(dtype).itemsize
        return self._group.create_array(
            name,
            shape=shape,
            dtype=dtype,
            fill_value=np.nan if np.dtype(dtype).kind == "f" else 0,
            dimension_names=dimensions,
            attributes=attributes,
            compressors=BloscCodec(cname="lz4", shuffle="shuffle", typesize=size),
            **tiles,
        )

    def _write_coordinates(self) -> None:
        d = self._description
        counts, units = encode_time(d.time)
        level = d.level.astype(np.int64) if np.all(d.level == np.round(d.level)) else d.level
        of_time = {"standard_name": "time", "units": units, "calendar": "proleptic_gregorian"}
        self._coordinate("time", counts, {**of_time, "axis": "T"})
        if len(level):
            of_level = level_attributes(d.attributes.get("level_type", ""))
            self._coordinate("level", level, {**of_level, "axis": "Z"})
        north = {"standard_name": "latitude", "units": "degrees_north", "axis": "Y"}
        east = {"standard_name": "longitude", "units": "degrees_east", "axis": "X"}
        self._coordinate("latitude", d.latitude, north)
        self._coordinate("longitude", d.longitude, east)

    def _coordinate(self, name: str, values: np.ndarray, attributes: dict[str, str]) -> None:
        size = values.shape
        array = self._array(name, size, values.dtype, (name,), attributes, chunks=size)
        assign(array, 0, values)
        self._print(name, values)

    def _print(self, name: str, values: np.ndarray) -> None:
        self._hash.update(name.encode())
        self._hash.update(np.ascontiguousarray(values).tobytes())

    def add(self, block: dict[str, np.ndarray]) -> None:
        """Takes in a block of values."""
        for name, values in block.items():
            self._variables[name].add(values)

    def finish(self) -> None:
        """Writes the statistics and the global attributes.

        Raises:
            UserError: where the blocks did not cover all times.
        """
        self._small("statistics/month", np.arange(1, MONTHS + 1))
        for variable in self._variables.values():
            variable.finish()
            self._write_statistics(variable)
        shutil.rmtree(self._scratch)
        self._write_attributes()
        self._consolidate()

    def _small(self, name: str, values: np.ndarray) -> None:
        array = self._array(name, (MONTHS,), "int64", ("month",), {}, chunks=(MONTHS,))
        assign(array, 0, values)

    def _write_statistics(self, variable: VariableWriter) -> None:
        held = min(MONTHS, max(1, _HELD_VALUES // int(np.prod(variable.shape))))
        arrays = {
            key: self._statistic(variable, key, held)
            for key in ("mean", "std", "mean_grid", "std_grid")
        }
        results = variable.statistics.results()
        while some := list(itertools.islice(results, held)):
            for key, array in arrays.items():
                assign(array, some[0][0], np.stack([values[key] for _, values in some]))
            for _, values in some:
                self._print(variable.name, np.concatenate([v.ravel() for v in values.values()]))
        self._small(f"statistics/{variable.name}_count", variable.statistics.counts)

    def _statistic(self, variable: VariableWriter, key: str, held: int):
        """Makes the array of a statistic: in one chunk, or in one per month and level."""
        info = self._description.variables[variable.name]
        levels, *grid = variable.shape
        is_grid = key.endswith("grid")
        chunks = (held, levels if held == MONTHS else 1, *grid) if is_grid else (MONTHS, levels)
        return self._array(
            f"statistics/{variable.name}_{key}",
            (MONTHS, *variable.shape) if is_grid else (MONTHS, levels),
            "float32",
            ("month", "level" if info.has_level else "surface", *(_GRID if is_grid else ())),
            {"units": info.units},
            chunks=chunks,
        )

    def _write_attributes(self) -> None:
        d = self._description
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        values: dict[str, Any] = {
            "Conventions": "CF-1.11",
            "title": "",
            "source": "",
            "attribution": "",
            "simulated": False,
            "history": f"{now} written by atmorep_k {__version__}",
            **d.attributes,
            "atmorep_k_version": __version__,
            "is_global": d.is_global,
            "resolution": d.resolution,
        }
        printed = {k: v for k, v in values.items() if k not in _NOT_PRINTED}
        self._hash.update(json.dumps(printed, sort_keys=True).encode())
        self._group.attrs.update({**values, "fingerprint": self._hash.hexdigest()})

    def _consolidate(self) -> None:
        """Copies all metadata to one file per group, with which xarray and buckets open faster."""
        import zarr

        with warnings.catch_warnings():
            # zarr says that other readers may ignore it, which does no harm.
            warnings.simplefilter("ignore", zarr.errors.ZarrUserWarning)
            for group in ("statistics", None):
                zarr.consolidate_metadata(self._group.store, path=group)
