"""Where the values of a variable lie on disk, for whoever reads them fast."""

import dataclasses
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class ArraySource:
    """A Zarr array that holds a variable, alone or among others.

    Args:
        path: directory of the array, (time, [field,] [level,] lat, lon).
        zarr_format: 2 or 3.
        field: index of the variable along the second axis; None where the array has no such axis.
        has_level: whether there is an axis of levels.
    """

    path: Path
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
        import zarr

        return zarr.open_array(self.path, mode="r").chunks[0]

    def missing_files(self) -> int:
        """Counts the files of the array that should be there and are not.

        One that is not there reads as the array's fill value.
        """
        import zarr

        array = zarr.open_array(self.path, mode="r")
        tiles = array.shards or array.chunks
        expected = 1
        for size, tile in zip(array.shape, tiles, strict=True):
            expected *= -(-size // tile)
        files = [p for p in self.path.rglob("*") if p.is_file()]
        return expected - sum(not p.name.startswith((".", "zarr.json")) for p in files)
