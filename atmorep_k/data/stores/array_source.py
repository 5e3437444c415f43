"""Where the values of a variable lie on disk, for readers that bypass xarray."""

import dataclasses
import itertools
from pathlib import Path
from typing import Any

from atmorep_k.data.stores.address import Location, kvstore, open_array


@dataclasses.dataclass(frozen=True)
class ArraySource:
    """A Zarr array that holds a variable, alone or among others.

    Args:
        path: directory or address of the array, (time, [field,] [level,] lat, lon).
        zarr_format: 2 or 3.
        field: index of the variable along the second axis; None where the array has no such axis.
        has_level: whether there is an axis of levels.
    """

    path: Location
    zarr_format: int
    field: int | None
    has_level: bool

    @property
    def driver(self) -> str:
        """The name of tensorstore's driver."""
        return "zarr3" if self.zarr_format == 3 else "zarr"

    @property
    def time_chunk(self) -> int:
        """Time steps that are stored, and must be read, together."""
        return open_array(self.path).chunks[0]

    def open(self, context=None):
        """Opens the array with tensorstore, as it is stored."""
        import tensorstore

        spec = {
            "driver": self.driver,
            "kvstore": kvstore(self.path),
            "recheck_cached_data": "open",
        }
        return tensorstore.open(spec, read=True, open=True, context=context).result()

    @property
    def attributes(self) -> dict[str, Any]:
        """The attributes of the array."""
        return dict(open_array(self.path).attrs)

    def files(self) -> dict[tuple[int, ...], Path]:
        """Returns the file of each tile that the array should have: index of the tile -> path.

        A tile is a shard, or a chunk where there are no shards.
        """
        array = open_array(self.path)
        tiles = array.shards or array.chunks
        numbers = [range(-(-n // t)) for n, t in zip(array.shape, tiles, strict=True)]
        return {
            index: self.path / array.metadata.encode_chunk_key(index)
            for index in itertools.product(*numbers)
        }

    def missing_files(self) -> int:
        """Counts the files of the array, on the disk, that should be there and are not.

        One that is not there reads as the array's fill value.
        """
        return sum(not path.is_file() for path in self.files().values())
