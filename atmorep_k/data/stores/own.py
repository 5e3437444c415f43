"""Stores as `atmorep-k data prepare` writes them."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

import numpy as np

from atmorep_k.data.stores.address import Location, open_group_at
from atmorep_k.data.stores.array_source import ArraySource
from atmorep_k.data.stores.base import Store
from atmorep_k.data.stores.layout import decode_time
from atmorep_k.data.stores.packing import Packing
from atmorep_k.data.stores.statistics import MONTHS, Pair, Scope, StoredStatistics, fill_constant
from atmorep_k.earth.variables import VariableInfo

if TYPE_CHECKING:
    import xarray as xr

_COORDINATES = ("time", "level", "latitude", "longitude")


@dataclasses.dataclass(frozen=True)
class OwnStore(Store):
    """A CF Zarr v3 directory with one array per variable, (time, level, latitude, longitude).

    Values lie in small tiles within shards, monthly statistics in the group `statistics`.

    Args:
        packings: variable -> packing, of those that are packed.
    """

    packings: dict[str, Packing]

    @classmethod
    def recognises(cls, group) -> bool:
        """Returns whether a Zarr group is such a store."""
        arrays = [name for name in _COORDINATES if name != "level"]
        is_marked = "fingerprint" in group.attrs and "statistics" in group
        return is_marked and all(name in group for name in arrays)

    @classmethod
    def open(cls, path: Location, group) -> Self:
        """Returns the store that a Zarr group, which is recognised, holds."""
        arrays = dict(group.arrays())
        level = arrays["level"][:] if "level" in arrays else np.zeros(0)
        return cls(
            path=path,
            time=decode_time(arrays["time"][:], arrays["time"].attrs["units"]),
            level=np.asarray(level, np.float64),
            latitude=arrays["latitude"][:],
            longitude=arrays["longitude"][:],
            variables={n: _info_of(a) for n, a in sorted(arrays.items()) if n not in _COORDINATES},
            attributes=dict(group.attrs),
            packings={n: p for n, a in arrays.items() if (p := Packing.of(a.attrs))},
        )

    def statistics(self, variable: str, levels: Sequence[int] | None = None) -> StoredStatistics:
        """Returns the statistics by calendar month, see `Store.statistics`."""
        of = self.levels_of(variable)
        chosen = np.arange(len(of)) if levels is None else np.asarray(levels)
        return StoredStatistics(
            f"{variable!r} of {self.path}",
            of[chosen].tolist(),
            np.arange(MONTHS),
            None,
            ("global", "grid_point"),
            functools.partial(self._load, variable, chosen),
        )

    def _load(self, variable: str, levels, scope: Scope, first: int, stop: int) -> Pair:
        group = open_group_at(self.path)["statistics"]
        mean, std = (group[f"{variable}_{k}"][first:stop][:, levels] for k in ("mean", "std"))
        if scope == "global":
            return mean, std
        mean, grid = (group[f"{variable}_{k}_grid"][first:stop][:, levels] for k in ("mean", "std"))
        return mean, fill_constant(mean, grid, std)

    def packing(self, variable: str) -> Packing | None:
        """Returns how integers stand for values, see `Store.packing`."""
        self.levels_of(variable)
        return self.packings.get(variable)

    def source(self, variable: str) -> ArraySource:
        """Returns the variable's own array, see `Store.source`."""
        self.levels_of(variable)
        return ArraySource(self.path / variable, 3, None, self.variables[variable].has_level)

    def dataset(self) -> "xr.Dataset":
        """Opens the store with xarray, see `Store.dataset`."""
        import xarray as xr

        from atmorep_k.data.stores.lazy_arrays import PackedArray

        # Values are unpacked by us: CF, which xarray follows, knows no scale for each level.
        files = open_group_at(self.path).store
        store = xr.open_zarr(files, chunks=None, mask_and_scale=False)
        words = ("scale_factor", "add_offset", "packing_scale", "packing_offset")
        for name, packing in self.packings.items():
            stored = store[name].variable
            attributes = {k: v for k, v in stored.attrs.items() if k not in words}
            values = PackedArray(self.path / name, packing).lazy()
            store[name] = xr.Variable(stored.dims, values, attributes)
        return store


def _info_of(array) -> VariableInfo:
    def word(name: str) -> str:
        return str(array.attrs.get(name, ""))

    return VariableInfo(
        units=word("units"),
        standard_name=word("standard_name"),
        long_name=word("long_name"),
        has_level=array.ndim == 4,
        comment=word("comment"),
    )
