"""What a store gets when all its values are there: checksums, statistics, attributes."""

import dataclasses
import datetime
import hashlib
import itertools
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from atmorep_k._version import __version__
from atmorep_k.data.stores.layout import StoreDescription
from atmorep_k.data.stores.statistics import MONTHS
from atmorep_k.data.writing.monthly_statistics import MonthlyStatistics
from atmorep_k.data.writing.skeleton import assign, create_array, hash_coordinates, hash_values

# Statistics of a grid are written together up to so many values, to save calls on small grids.
_HELD_VALUES = 2**22
_KEYS = ("mean", "std", "mean_grid", "std_grid")
# Left out of the fingerprint: they say when and how a store was made, not what is in it.
_NOT_PRINTED = ("history", "atmorep_k_version", "fingerprint", "selection", "links", "variables")


def finish(
    path: Path,
    description: StoreDescription,
    statistics: Mapping[str, MonthlyStatistics],
    checksums: Mapping[str, np.ndarray],
) -> None:
    """Writes checksums, statistics and attributes; what is there of them is replaced.

    Args:
        path: a store with its skeleton and values.
        description: of the store.
        statistics: variable -> its statistics.
        checksums: variable -> `(time shard, lat shard, lon shard)` uint32.
    """
    import zarr

    group = zarr.open_group(path, mode="a", zarr_format=3)
    hashed = hashlib.sha256()
    hash_coordinates(hashed, description)
    _small(group, "statistics/month", np.arange(1, MONTHS + 1))
    for name, info in description.variables.items():
        if not description.links:
            assign(group[f"checksums/{name}"], 0, checksums[name])
        _write_statistics(group, name, info, statistics[name], hashed)
    _write_attributes(group, description, hashed)
    _consolidate(group)


def _small(group, name: str, values: np.ndarray) -> None:
    array = create_array(group, name, (MONTHS,), "int64", ("month",), {}, chunks=(MONTHS,))
    assign(array, 0, values)


def _write_statistics(group, name: str, info, statistics: MonthlyStatistics, hashed) -> None:
    num_levels = statistics.shape[0]
    # A month and level at a time, or on a small grid all of them.
    months, levels = 1, 1
    if MONTHS * np.prod(statistics.shape) <= _HELD_VALUES:
        months, levels = MONTHS, num_levels
    arrays = {
        "mean": _statistic(group, f"{name}_mean", info, statistics, (MONTHS, num_levels)),
        "std": _statistic(group, f"{name}_std", info, statistics, (MONTHS, num_levels)),
        "mean_grid": _statistic(group, f"{name}_mean_grid", info, statistics, (months, levels)),
        "std_grid": _statistic(group, f"{name}_std_grid", info, statistics, (months, levels)),
    }
    whole = {key: np.empty((MONTHS, num_levels), np.float32) for key in ("mean", "std")}
    for corner in itertools.product(range(0, MONTHS, months), range(0, num_levels, levels)):
        places = [range(i, i + n) for i, n in zip(corner, (months, levels), strict=True)]
        results = [[statistics.result(m, v) for v in places[1]] for m in places[0]]
        for key in _KEYS:
            values = np.array([[of[key] for of in row] for row in results])
            hash_values(hashed, f"{name} {key}", values)
            if key in whole:
                whole[key][corner[0] : corner[0] + months, corner[1] : corner[1] + levels] = values
            else:
                assign(arrays[key], corner, values)
    for key, values in whole.items():
        assign(arrays[key], 0, values)
    _small(group, f"statistics/{name}_count", statistics.counts)


def _statistic(group, name: str, info, statistics: MonthlyStatistics, chunk: tuple[int, int]):
    num_levels, *grid = statistics.shape
    grid = grid if name.endswith("_grid") else []
    return create_array(
        group,
        f"statistics/{name}",
        (MONTHS, num_levels, *grid),
        "float32",
        (
            "month",
            "level" if info.has_level else "surface",
            *(("latitude", "longitude") if grid else ()),
        ),
        {"units": info.units},
        chunks=(*chunk, *grid),
    )


def _write_attributes(group, d: StoreDescription, hashed) -> None:
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
    if d.links:
        values["variables"] = {n: dataclasses.asdict(info) for n, info in d.variables.items()}
    printed = {k: v for k, v in values.items() if k not in _NOT_PRINTED}
    hashed.update(json.dumps(printed, sort_keys=True).encode())
    group.attrs.update({**values, "fingerprint": hashed.hexdigest()})


def _consolidate(group) -> None:
    """Copies all metadata to one file per group, with which xarray and buckets open faster."""
    import zarr

    with warnings.catch_warnings():
        # zarr says that other readers may ignore it, which does no harm.
        warnings.simplefilter("ignore", zarr.errors.ZarrUserWarning)
        for part in ("statistics", *(["checksums"] if "checksums" in group else []), None):
            zarr.consolidate_metadata(group.store, path=part)
