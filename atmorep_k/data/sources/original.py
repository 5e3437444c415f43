"""A store of the original AtmoRep as pieces, for whoever wants one of ours."""

from pathlib import Path

import numpy as np

from atmorep_k.data.sources.pieces import Piece
from atmorep_k.data.stores.original import OriginalStore
from atmorep_k.earth.axes import order_latitude, order_longitude, pick


def is_original(path: Path) -> bool:
    """Returns whether a Zarr directory is a store of the original AtmoRep."""
    import zarr

    # Most directories are not, and are told without being opened.
    return (path / "lats").is_dir() and OriginalStore.recognises(zarr.open_group(path, mode="r"))


def original_pieces(path: Path) -> tuple[list[Piece], dict[str, str]]:
    """Returns the fields of a store of the original AtmoRep; none is left out.

    Raises:
        UserError: if a part is missing, or parts do not fit each other.
    """
    import zarr

    store = OriginalStore.open(path, zarr.open_group(path, mode="r"))
    dataset = store.dataset()
    return [_piece(store, dataset, name) for name in store.variables], {}


def _piece(store: OriginalStore, dataset, name: str) -> Piece:
    info, array = store.variables[name], dataset[name]
    latitude, rows = order_latitude(store.latitude, store.path.name)
    longitude, columns = order_longitude(store.longitude, store.path.name)
    levels = np.argsort(store.level) if info.has_level else np.zeros(0, int)
    return Piece(
        source_name=name,
        source=store.path.name,
        time=store.time.astype("datetime64[s]"),
        level=store.level[levels] if info.has_level else np.zeros(0),
        level_type=store.attributes["level_type"] if info.has_level else "",
        latitude=latitude,
        longitude=longitude,
        units=info.units,
        standard_name=info.standard_name,
        long_name=info.long_name,
        attributes={"title": f"the fields of {store.attributes['source']}"},
        read=_Reader(array, levels, rows, columns),
        time_chunk=store.source(name).time_chunk,
        comment=info.comment,
    )


class _Reader:
    """Reads one field of the large array.

    Args:
        array: the field, as xarray holds it without reading it.
        levels: index that brings the levels to ascending order; empty at the surface.
        rows: index of the rows, from north to south.
        columns: index of the columns.
    """

    def __init__(self, array, levels, rows, columns):
        self._array, self._levels, self._rows, self._columns = array, levels, rows, columns

    def __call__(self, start: int, stop: int, level_index: np.ndarray) -> np.ndarray:
        values = self._array[start:stop].values
        has_level = len(self._levels) > 0
        values = values[:, self._levels[level_index]] if has_level else values[:, None]
        return pick(pick(values, self._rows, 2), self._columns, 3)

    def crop(self, rows: np.ndarray, columns: np.ndarray) -> "_Reader":
        """Returns the reader of some rows and columns; whole chunks are decoded."""
        return _Reader(self._array, self._levels, self._rows[rows], self._columns[columns])
