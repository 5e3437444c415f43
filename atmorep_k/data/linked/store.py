"""Stores whose values stay in their sources: Zarr, NetCDF or GRIB that may not be rewritten."""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from atmorep_k.data.sources.joining import Joined
from atmorep_k.data.sources.selection import Selection
from atmorep_k.data.stores.address import Location
from atmorep_k.data.stores.array_source import ArraySource
from atmorep_k.data.stores.base import lazy_dataset
from atmorep_k.data.stores.layout import StoreDescription
from atmorep_k.data.stores.own import OwnStore
from atmorep_k.earth.variables import VariableInfo
from atmorep_k.errors import UserError

if TYPE_CHECKING:
    import xarray as xr


def identity(source: str) -> tuple[str, int, int]:
    """Returns what tells a source from what it may be later: its name, size and time of change."""
    if "://" in source:
        return source, 0, 0
    stat = Path(source).stat()
    return str(Path(source).absolute()), stat.st_size, stat.st_mtime_ns


def linked(description: StoreDescription, sources: Sequence[str]) -> StoreDescription:
    """Returns the description of a store whose values stay in some sources."""
    told = {"links": [identity(source) for source in sources]}
    return dataclasses.replace(
        description,
        links=tuple(sources),
        attributes={**description.attributes, **told},
    )


@dataclasses.dataclass(frozen=True)
class LinkedStore(OwnStore):
    """A store with coordinates and statistics, whose values are read from where they were found.

    A window needs whole time steps of the source, often of the globe: expect seconds for one, and
    take many windows from each reading (`SlabDataset`).
    """

    @classmethod
    def recognises(cls, group) -> bool:
        """Returns whether a Zarr group is such a store."""
        return super().recognises(group) and "links" in group.attrs

    @classmethod
    def open(cls, path: Location, group) -> Self:
        """Returns the store that a Zarr group, which is recognised, holds."""
        store = super().open(path, group)
        variables = {n: VariableInfo(**of) for n, of in group.attrs["variables"].items()}
        return dataclasses.replace(store, variables=variables)

    @functools.cached_property
    def joined(self) -> dict[str, Joined]:
        """The variables, opened where they lie.

        Raises:
            UserError: if a source no longer exists, or has changed.
        """
        sources = []
        for name, *was in self.attributes["links"]:
            if "://" not in name and not Path(name).exists():
                raise UserError(f"the values of {self.path} are in {name}, which does not exist.")
            if list(identity(name)[1:]) != was:
                raise UserError(
                    f"{name} has changed since {self.path} was made from it; make it again with "
                    f"'atmorep-k data prepare ... --link --overwrite'."
                )
            sources.append(name)
        selection = Selection.of(self.attributes["selection"], self.level)
        _, joined = selection.open(sources)
        return {j.name: j for j in joined}

    def source(self, variable: str) -> ArraySource:
        """Refuses: the values lie in no array of the store."""
        raise TypeError(
            f"the values of {variable!r} are in the sources of {self.path}, not in an array."
        )

    def read(self, variable: str, times: slice) -> np.ndarray:
        """Returns values `(time, level, lat, lon)` float32 of some time steps.

        Args:
            variable: its name.
            times: first, stop and step, none of them None.
        """
        return self.joined[variable].read(times.start, times.stop)[:: times.step]

    def dataset(self) -> "xr.Dataset":
        """Opens the store with xarray, see `Store.dataset`."""
        from atmorep_k.data.linked.array import LinkedArray

        values = {}
        for name, info in self.variables.items():
            level = (len(self.level),) if info.has_level else ()
            shape = (len(self.time), *level, len(self.latitude), len(self.longitude))
            values[name] = LinkedArray(self.joined[name], shape).lazy()
        return lazy_dataset(self, values)
