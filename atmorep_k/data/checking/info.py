"""`atmorep-k data info`: what is inside a store, and what is missing from it."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from atmorep_k.data.checking.value_reader import values_of
from atmorep_k.data.linked.store import LinkedStore
from atmorep_k.data.opening import open_store
from atmorep_k.data.stores.address import Location
from atmorep_k.data.stores.base import Store
from atmorep_k.earth.times import gaps, iso, usual_step

# Up to so many bytes of values every value is looked at without being asked.
_SCAN_BYTES = 2**31
_NAMED_GAPS = 5
# Time steps that are looked at together.
_STEPS = 48


def describe_store(path: str | Path, *, scan: bool | None = None) -> dict[str, Any]:
    """Returns what a store holds and what it lacks, as values that JSON can hold.

    Args:
        path: the store.
        scan: look at every value for missing ones; None does so if there are few (2 GiB).

    Raises:
        UserError: if there is no store.
    """
    store = open_store(path)
    if scan is None:
        scan = sum(_num_values(store, name) for name in store.variables) * 4 <= _SCAN_BYTES
    names = ("title", "source", "attribution", "simulated", "history", "fingerprint", "is_global")
    return {
        "path": str(path),
        **{name: store.attributes.get(name, "") for name in names},
        "bytes": _bytes_on_disk(store.path),
        "time": _time(store.time),
        "level": {
            "type": store.attributes.get("level_type", ""),
            "values": store.level.tolist(),
        },
        "latitude": _axis(store.latitude, store.resolution[0]),
        "longitude": _axis(store.longitude, store.resolution[1]),
        "variables": {name: _variable(store, name, scan) for name in store.variables},
        "gaps": gaps(store.time),
    }


def _axis(values: np.ndarray, step: float) -> dict[str, Any]:
    return {
        "first": float(values[0]),
        "last": float(values[-1]),
        "points": len(values),
        "step": step,
    }


def _time(time: np.ndarray) -> dict[str, Any]:
    return {
        "first": iso(time[0]),
        "last": iso(time[-1]),
        "steps": len(time),
        "step_hours": float(usual_step(time) / np.timedelta64(1, "h")),
    }


def _num_values(store: Store, name: str) -> int:
    points = len(store.time) * len(store.latitude) * len(store.longitude)
    return points * len(store.levels_of(name))


def _bytes_on_disk(path: Location) -> int:
    return sum(
        os.path.getsize(os.path.join(folder, name))
        for folder, _, files in os.walk(path)
        for name in files
    )


def _variable(store: Store, name: str, scan: bool) -> dict[str, Any]:
    info = store.variables[name]
    mean, std = _monthly(store, name)
    levels = store.levels_of(name).tolist()
    is_linked = isinstance(store, LinkedStore)
    varies = np.any(std > 0, axis=0) | np.any(mean != mean[:1], axis=0) | (len(mean) == 0)
    return {
        "units": info.units,
        "standard_name": info.standard_name,
        "long_name": info.long_name,
        "comment": info.comment,
        "levels": levels if info.has_level else [],
        "mean": _ranges(levels, mean),
        "std": _ranges(levels, std),
        "constant_levels": [v for v, of in zip(levels, varies, strict=True) if not of],
        "missing_shards": 0 if is_linked else store.source(name).missing_files(),
        "missing_values": _missing_values(store, name) if scan else None,
    }


def _monthly(store: Store, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns mean and std (month, level) of the months that have them."""
    statistics = store.statistics(name)
    if "global" not in statistics.scopes:
        return (np.zeros((0, len(store.levels_of(name)))),) * 2
    mean, std = statistics.read("global")
    known = (np.isfinite(mean) & np.isfinite(std)).all(axis=1)
    return mean[known], std[known]


def _ranges(levels: list[float], values: np.ndarray) -> dict[str, list[float]]:
    """Returns for each level the smallest and the largest of the months, if there is any."""
    if not len(values):
        return {}
    low, high = values.min(axis=0), values.max(axis=0)
    return {f"{v:g}": [float(a), float(b)] for v, a, b in zip(levels, low, high, strict=True)}


def _missing_values(store: Store, name: str) -> int:
    reader = values_of(store, name)
    return sum(
        int(np.count_nonzero(~np.isfinite(reader.read(block))))
        for row in reader.rows()
        for block in row
    )


def info_text(values: dict[str, Any]) -> str:
    """Returns a description (of `describe`) as lines to read."""
    time, level = values["time"], values["level"]
    lines = [
        f"{values['path']}: {values['title'] or 'no title'}",
        *(["  SIMULATED: made by a model run, not by observation"] * bool(values["simulated"])),
        f"  source       {values['source'] or 'unknown'}",
        f"  attribution  {values['attribution'] or 'unknown'}",
        f"  period       {time['first']} to {time['last']}, {time['steps']} steps of "
        f"{time['step_hours']:g} h",
        *(_axis_text(values, name) for name in ("latitude", "longitude")),
        f"  level        {_level_text(level)}",
        f"  on disk      {values['bytes'] / 1e6:,.1f} MB",
        f"  fingerprint  {values['fingerprint']}",
        "variables",
    ]
    for name, of in values["variables"].items():
        lines += _variable_text(name, of)
    return "\n".join([*lines, "missing", *_missing_text(values)])


def _axis_text(values: dict[str, Any], name: str) -> str:
    axis = values[name]
    whole = ", round the globe" if name == "longitude" and values["is_global"] else ""
    return (
        f"  {name:<12} {axis['first']:g} to {axis['last']:g}, {axis['points']} points, "
        f"every {axis['step']:g} degrees{whole}"
    )


def _level_text(level: dict[str, Any]) -> str:
    if not level["values"]:
        return "the surface"
    words = {"pressure": "hPa", "model": "(model levels)"}.get(level["type"], "")
    return f"{' '.join(f'{v:g}' for v in level['values'])} {words}".rstrip()


def _variable_text(name: str, of: dict[str, Any]) -> list[str]:
    where = f"{len(of['levels'])} level(s)" if of["levels"] else "surface"
    lines = [f"  {name} [{of['units']}], {where}: {of['long_name']}"]
    for word in ("mean", "std"):
        ends = [v for pair in of[word].values() for v in pair]
        if not ends:
            lines.append(f"    monthly {word:<4} missing for the whole field")
            continue
        lines.append(f"    monthly {word:<4} from {min(ends):.6g} to {max(ends):.6g}")
    return [*lines, f"    {of['comment']}"] if of["comment"] else lines


def _missing_text(values: dict[str, Any]) -> list[str]:
    gaps = values["gaps"]
    lines = [
        f"  {g['missing_steps']} step(s) between {g['after']} and {g['before']}"
        for g in gaps[:_NAMED_GAPS]
    ]
    if len(gaps) > _NAMED_GAPS:
        lines.append(f"  and {len(gaps) - _NAMED_GAPS} more gaps in time")
    for name, of in values["variables"].items():
        if of["missing_values"]:
            lines.append(f"  {name}: {of['missing_values']} values are NaN or infinite")
        if of["missing_shards"]:
            lines.append(f"  {name}: {of['missing_shards']} of its shard files are missing")
        if of["constant_levels"]:
            listed = " ".join(f"{v:g}" for v in of["constant_levels"])
            lines.append(f"  {name} is constant at level {listed}: no model can learn from it")
        if of["missing_values"] is None:
            lines.append(f"  {name}: values not read (--scan reads them)")
    return lines or ["  nothing"]
