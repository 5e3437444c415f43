"""A store without values: groups, coordinates, and arrays that wait for their shards."""

import concurrent.futures
import hashlib
import itertools
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from atmorep_k.data.stores.layout import StoreDescription, encode_time, level_attributes
from atmorep_k.data.stores.packing import MISSING, Packing

# Where, in a store being written, lies what is needed until it is complete.
SCRATCH = ".scratch"
# The coordinate of time is cut, so that a record that grows does not rewrite what it was.
_TIME_CHUNK = 2**13
_CHECKSUM_CHUNK = 2**10


def create_skeleton(
    path: Path, description: StoreDescription, packings: Mapping[str, Packing]
) -> None:
    """Makes the arrays of a store, without a value in those of the variables.

    Args:
        path: the directory to make it in; arrays that are there are replaced.
        description: coordinates, variables, layout.
        packings: variable -> packing, of those that are packed.
    """
    import zarr

    group = zarr.open_group(path, mode="a", zarr_format=3)
    _write_coordinates(group, description)
    for name in () if description.links else description.variables:
        _create_variable(group, name, description, packings.get(name))


def _create_variable(group, name: str, d: StoreDescription, packing: Packing | None) -> None:
    info, (chunks, shards) = d.variables[name], d.tiles(name)
    attributes = {
        "units": info.units,
        "standard_name": info.standard_name,
        "long_name": info.long_name,
        "comment": info.comment,
    }
    attributes = {k: v for k, v in attributes.items() if v or k == "units"}
    create_array(
        group,
        name,
        d.shape(name),
        "int16" if packing else "float32",
        d.dimensions(name),
        {**attributes, **(packing.attributes() if packing else {})},
        codec=d.layout.codec,
        chunks=chunks,
        shards=shards,
    )
    number = tuple(-(-n // s) for n, s in zip(d.shape(name), shards, strict=True))
    number = number[:1] + number[-2:]
    create_array(
        group,
        f"checksums/{name}",
        number,
        "uint32",
        tuple(f"{axis}_shard" for axis in ("time", "latitude", "longitude")),
        {"long_name": "CRC-32C of the file of each shard"},
        chunks=(_CHECKSUM_CHUNK, *number[1:]),
    )


def create_array(
    group, name, shape, dtype, dimensions, attributes, *, codec="lz4", chunks, shards=None
):
    """Makes an array; every chunk of a shard carries a checksum, so that no reader takes damage."""
    from zarr.codecs import BloscCodec, Crc32cCodec

    dtype = np.dtype(dtype)
    compressors: list[BloscCodec | Crc32cCodec] = []
    if codec != "none":
        compressors.append(BloscCodec(cname=codec, shuffle="shuffle", typesize=dtype.itemsize))
    compressors.append(Crc32cCodec())
    missing = {"f": np.nan, "i": MISSING if dtype == np.int16 else 0, "u": 0}
    return group.create_array(
        name,
        shape=shape,
        dtype=dtype,
        fill_value=missing[dtype.kind],
        dimension_names=dimensions,
        attributes=attributes,
        compressors=compressors,
        chunks=chunks,
        shards=shards,
        overwrite=True,
    )


def _write_coordinates(group, d: StoreDescription) -> None:
    counts, units = encode_time(d.time)
    level = d.level.astype(np.int64) if np.all(d.level == np.round(d.level)) else d.level
    of_time = {"standard_name": "time", "units": units, "calendar": "proleptic_gregorian"}
    _coordinate(group, "time", counts, {**of_time, "axis": "T"}, _TIME_CHUNK)
    if len(level):
        of_level = level_attributes(d.attributes.get("level_type", ""))
        _coordinate(group, "level", level, {**of_level, "axis": "Z"})
    north = {"standard_name": "latitude", "units": "degrees_north", "axis": "Y"}
    east = {"standard_name": "longitude", "units": "degrees_east", "axis": "X"}
    _coordinate(group, "latitude", d.latitude, north)
    _coordinate(group, "longitude", d.longitude, east)


def _coordinate(group, name: str, values, attributes: dict[str, str], chunk: int = 0) -> None:
    chunks = (chunk or len(values),)
    array = create_array(
        group, name, values.shape, values.dtype, (name,), attributes, chunks=chunks
    )
    assign(array, 0, values)


def hash_coordinates(hashed, d: StoreDescription) -> None:
    """Takes the coordinates into a hash."""
    counts, _ = encode_time(d.time)
    for name, values in (
        ("time", counts),
        ("level", d.level),
        ("latitude", d.latitude),
        ("longitude", d.longitude),
    ):
        hash_values(hashed, name, values)


def hash_values(hashed: "hashlib._Hash", name: str, values: np.ndarray) -> None:
    """Takes an array and its name into a hash."""
    hashed.update(name.encode())
    hashed.update(np.ascontiguousarray(values).tobytes())


def assign(array, start: int | tuple[int, ...], values: np.ndarray) -> None:
    """Writes values at `start` of the first dimensions, and returns when nothing more is written.

    zarr writes chunks side by side and goes on with the others when one fails or the user
    interrupts; what is removed then would come back. So: one chunk per call, in a thread that is
    waited for.
    """
    first = np.array([*np.atleast_1d(start), *[0] * values.ndim][: values.ndim])
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(_assign_chunks, array, first, values).result()


def _assign_chunks(array, start: np.ndarray, values: np.ndarray) -> None:
    pieces = [range(0, size, step) for size, step in zip(values.shape, array.chunks, strict=True)]
    for corner in itertools.product(*pieces):
        end = np.minimum(np.add(corner, array.chunks), values.shape)
        target = tuple(map(slice, start + corner, start + end))
        array[target] = values[tuple(map(slice, corner, end))]
