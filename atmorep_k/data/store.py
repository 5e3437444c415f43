"""The store of training data: what it is (`StoreDescription`), writing it, opening it.

A CF Zarr v3 directory with one array per variable, (time, level, latitude, longitude), in small
tiles within shards, and monthly statistics in the group `statistics`.
"""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from atmorep_k.data.layout import StoreDescription, decode_time
from atmorep_k.data.statistics import MONTHS
from atmorep_k.data.stored_statistics import Scope, StoredStatistics, fill_constant
from atmorep_k.data.variables import VariableInfo
from atmorep_k.data.writing import check_output, write_store
from atmorep_k.errors import UserError, nearest, unknown

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "Store",
    "StoreDescription",
    "VariableInfo",
    "check_output",
    "open_store",
    "write_store",
]

_COORDINATES = ("time", "level", "latitude", "longitude")


@dataclasses.dataclass(frozen=True)
class Store:
    """A store opened for reading; values are read by `dataset()` or straight from its arrays.

    Args:
        path: the directory.
        time: `(time,)` datetime64[ns].
        level: `(level,)`; empty where every variable lies at the surface.
        latitude: `(latitude,)` degrees, from north to south.
        longitude: `(longitude,)` degrees, ascending.
        variables: name -> `VariableInfo`.
        attributes: the global attributes.
    """

    path: Path
    time: np.ndarray
    level: np.ndarray
    latitude: np.ndarray
    longitude: np.ndarray
    variables: dict[str, VariableInfo]
    attributes: dict[str, Any]

    @property
    def is_global(self) -> bool:
        """Whether the longitudes go round the globe."""
        return bool(self.attributes["is_global"])

    @property
    def resolution(self) -> tuple[float, float]:
        """Mean spacing in degrees, (latitude, longitude)."""
        return tuple(self.attributes["resolution"])

    @property
    def fingerprint(self) -> str:
        """SHA-256 over coordinates, statistics and attributes."""
        return self.attributes["fingerprint"]

    def levels_of(self, variable: str) -> np.ndarray:
        """Returns the levels of a variable; `[0]` at the surface.

        Raises:
            UserError: where the variable is not in the store.
        """
        return self.level if self._info(variable).has_level else np.zeros(1)

    def statistics(self, variable: str, levels: Sequence[int] | None = None) -> StoredStatistics:
        """Returns the monthly statistics of a variable; they are read when asked for.

        Args:
            variable: its name.
            levels: indices of levels; all if None. At the surface there is one, 0.

        Raises:
            UserError: where the variable is not in the store.
        """
        of = self.levels_of(variable)
        levels = np.arange(len(of)) if levels is None else np.asarray(levels)
        return StoredStatistics(
            f"{variable!r} of {self.path}",
            of[levels].tolist(),
            np.arange(MONTHS),
            None,
            ("global", "grid_point"),
            functools.partial(self._load, variable, levels),
        )

    def _load(self, variable: str, levels: np.ndarray, scope: Scope, first: int, stop: int):
        import zarr

        group = zarr.open_group(self.path, mode="r")["statistics"]
        mean, std = (group[f"{variable}_{k}"][first:stop][:, levels] for k in ("mean", "std"))
        if scope == "global":
            return mean, std
        mean, grid = (group[f"{variable}_{k}_grid"][first:stop][:, levels] for k in ("mean", "std"))
        return mean, fill_constant(mean, grid, std)

    def dataset(self) -> "xr.Dataset":
        """Opens the store with xarray; nothing is read before it is used."""
        import xarray as xr

        return xr.open_zarr(self.path, chunks=None, consolidated=False)

    def _info(self, variable: str) -> VariableInfo:
        if variable not in self.variables:
            raise unknown(f"variable in {self.path}", variable, self.variables)
        return self.variables[variable]


def open_store(path: str | Path) -> Store:
    """Opens a store.

    Raises:
        UserError: where there is none; says what is there, or the nearest name.
    """
    path = Path(path)
    group = _open_group(path)
    attributes = dict(group.attrs)
    arrays = dict(group.arrays())
    missing = [n for n in ("time", "latitude", "longitude") if n not in arrays]
    if "fingerprint" not in attributes or "statistics" not in group or missing:
        raise UserError(
            f"{path} is a Zarr directory, but no store of atmorep_k; make one with "
            f"'atmorep-k data prepare {path} --output STORE'."
        )
    level = arrays["level"][:] if "level" in arrays else np.zeros(0)
    return Store(
        path=path,
        time=decode_time(arrays["time"][:], arrays["time"].attrs["units"]),
        level=np.asarray(level, np.float64),
        latitude=arrays["latitude"][:],
        longitude=arrays["longitude"][:],
        variables={n: _info_of(a) for n, a in sorted(arrays.items()) if n not in _COORDINATES},
        attributes=attributes,
    )


def _open_group(path: Path):
    import zarr

    if not path.exists():
        parent = path.absolute().parent
        names = [str(p.name) for p in parent.iterdir()] if parent.is_dir() else []
        raise UserError(f"there is no store {path}{nearest(path.name, names)}")
    prepare = f"make a store of it with 'atmorep-k data prepare {path} --output STORE'"
    if not path.is_dir():
        raise UserError(f"{path} is a file, not a store; {prepare}.")
    if not (path / "zarr.json").is_file():
        raise UserError(f"{path} is a directory without a store; {prepare}, if it holds data.")
    return zarr.open_group(path, mode="r", zarr_format=3)


def _info_of(array) -> VariableInfo:
    names = ("units", "standard_name", "long_name")
    words = [str(array.attrs.get(name, "")) for name in names]
    return VariableInfo(*words, array.ndim == 4, str(array.attrs.get("comment", "")))
