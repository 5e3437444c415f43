"""What is there already of a store to which months are appended."""

import dataclasses
import json
from pathlib import Path

import numpy as np

from atmorep_k.data.stores.layout import CODECS, Layout
from atmorep_k.data.stores.own import OwnStore
from atmorep_k.data.stores.statistics import Moments
from atmorep_k.data.writing.monthly_statistics import MonthlyStatistics
from atmorep_k.errors import UserError


@dataclasses.dataclass(frozen=True)
class Grown:
    """A store as it is before it grows.

    Args:
        store: the store.

    Raises:
        UserError: if it is of an earlier version, whose shards carry no checksums.
    """

    store: OwnStore

    def __post_init__(self):
        if not (Path(self.store.path) / "checksums").is_dir():
            raise UserError(
                f"{self.store.path} was written by an earlier version, without checksums; prepare "
                f"it again with 'atmorep-k data prepare {self.store.path} --output STORE'."
            )

    def _array(self, name: str):
        import zarr

        return zarr.open_array(Path(self.store.path) / name, mode="r")

    @property
    def layout(self) -> Layout:
        """How its values are cut, packed and compressed."""
        path = Path(self.store.path) / next(iter(self.store.variables))
        array = self._array(path.name)
        chunk, shard = ((of[0], *of[-2:]) for of in (array.chunks, array.shards))
        found = json.loads((path / "zarr.json").read_text())["codecs"]
        codec = next((c for c in CODECS if f'"{c}"' in json.dumps(found)), "none")
        return Layout(chunk, shard, codec, str(array.dtype))

    def checksums(self, name: str) -> np.ndarray:
        """Returns CRC-32C of a variable's shards, `(time shard, lat shard, lon shard)`."""
        return self._array(f"checksums/{name}")[:]

    def read(self, name: str, first: int, stop: int) -> np.ndarray:
        """Returns values `(time, level, lat, lon)` float32 of some time steps."""
        stored = self._array(name)[first:stop]
        stored = stored if stored.ndim == 4 else stored[:, None]
        packing = self.store.packing(name)
        return packing.unpack(stored) if packing else stored

    def give_moments(self, name: str, statistics: MonthlyStatistics) -> None:
        """Lets statistics begin with those of the store."""
        mean, std = (self._array(f"statistics/{name}_{key}_grid") for key in ("mean", "std"))
        for month, count in enumerate(self._array(f"statistics/{name}_count")[:]):

            def level(number: int, month=month, count=count) -> Moments:
                values, spread = (
                    array[month, number : number + 1].astype(np.float64) for array in (mean, std)
                )
                return Moments(int(count), values, spread**2 * count)

            if count:
                statistics.begin(month, int(count), level)
