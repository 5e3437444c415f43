"""Windows cut from large parts of a store; each part is read once."""

import contextlib
import functools
from collections.abc import Sequence

import numpy as np

from atmorep_k.components.datasets.window_dataset import (
    MOST_WAITING,
    Source,
    Split,
    WindowDataset,
)
from atmorep_k.errors import UserError
from atmorep_k.fields import FieldSpec, Window
from atmorep_k.registry import component
from atmorep_k.windows import checks, periods
from atmorep_k.windows.positions import Positions, allowed_corners, row_weights
from atmorep_k.windows.slab_positions import SlabPositions, corners_around
from atmorep_k.windows.slabs import Lanes, Slab, Slabs


@component("dataset")
class SlabDataset(WindowDataset):
    """Windows, several from one read; sample i of epoch e never changes.

    For slow disks, buckets and processors that cannot keep up with `WindowDataset`. A slab is a
    large part of the record that is read at once; `patches` windows are cut from it, at random
    places. `lanes` slabs are live, and a batch takes its samples from them in turn: any `lanes`
    samples that follow each other are from different slabs, of different times. Windows of one
    slab overlap, and are up to `lanes * patches` samples apart.

    A window's volume times `patches` over the slab's volume is how often a value is used: with the
    default, twice for windows of 36 x 54 x 108 points.

    Memory: about `lanes` + 2 slabs in the type in which they are stored, see `slab_bytes`: with the
    default and five levels 1 GB for each field that is packed as int16, else 2 GB.

    Slabs lie wholly in period and region. Their middles are drawn as those of windows are in
    `WindowDataset`, then moved inside. Of several hosts (`batches(part=...)`) each reads the slabs
    that its samples show: only its own, if `lanes` is a multiple of the batch size.

    Args:
        store: see `WindowDataset`.
        train_period: see `WindowDataset`.
        validation_period: see `WindowDataset`.
        samples_per_epoch: see `WindowDataset`.
        region: see `WindowDataset`; slabs lie wholly inside.
        area_uniform: see `WindowDataset`.
        threads: see `WindowDataset`.
        stores: see `WindowDataset`; all fields must be in one store here.
        slab: points of a slab in (time, lat, lon), times in steps of the window.
        patches: windows of a slab.
        lanes: slabs that are live at once.

    Raises:
        UserError: if a number is not positive; see also `open`.
    """

    def __init__(
        self,
        store: str,
        train_period: Sequence[str] | None = None,
        validation_period: Sequence[str] | None = None,
        samples_per_epoch: int = 4096,
        region: Sequence[float] | None = None,
        area_uniform: bool = True,
        threads: int = 2,
        stores: dict[str, str] | None = None,
        slab: Sequence[int] = (48, 240, 480),
        patches: int = 52,
        lanes: int = 16,
    ):
        super().__init__(
            store,
            train_period,
            validation_period,
            samples_per_epoch,
            region,
            area_uniform,
            threads,
            stores,
        )
        if len(slab) != 3:
            raise UserError(f"SlabDataset.slab needs three sizes (time, lat, lon), not {slab}.")
        time, lat, lon = (int(n) for n in slab)
        self.slab = (time, lat, lon)
        self.patches = patches
        self.lanes = lanes
        checks.check_positive(self, ("patches", "lanes"))

    def _place(self) -> None:
        of = self._only_serving()
        grid = len(of.store.time), len(of.store.latitude), len(of.store.longitude)
        self._check_slab(of.window.shape, grid)
        room = tuple(n - w + 1 for n, w in zip(self.slab, of.window.shape, strict=True))
        rows, columns = self._stores.corners(self.region)
        weights = self._row_weights(rows)
        rows, columns = self._slab_corners(rows, columns, room)
        self._slab_positions = {
            name: SlabPositions(
                Positions(
                    f"{name}/slab", self._starts(name, period), rows, weights, columns, self.lanes
                ),
                Lanes(self.lanes, self.patches),
                self.samples_per_epoch,
                room,
                self._row_weights(np.arange(grid[1] - of.window.shape[1] + 1)),
                of.stride,
                grid[2],
            )
            for name, period in self._periods.items()
        }
        self._positions = dict(self._slab_positions)

    def _row_weights(self, rows: np.ndarray) -> np.ndarray:
        of = self._stores.reference
        return row_weights(of.store.latitude, rows, of.window.shape[1], self.area_uniform)

    def _slab_corners(self, rows, columns, room) -> tuple[np.ndarray, np.ndarray]:
        """Returns the corners of slabs around windows with some corners."""
        store = self._stores.reference.store
        allowed = allowed_corners(
            store.latitude, store.longitude, store.is_global, self.slab[1:], self.region, "slab"
        )
        around_the_globe = len(store.longitude) if store.is_global else None
        return (
            corners_around(rows, room[1] // 2, allowed[0], None),
            corners_around(columns, room[2] // 2, allowed[1], around_the_globe),
        )

    def _only_serving(self):
        serving, *others = self._stores.servings
        if others:
            other = others[0]
            raise UserError(
                f"SlabDataset reads all fields from one store with one time step, but "
                f"{serving.fields[0].name!r} comes from {serving.store.path} every "
                f"{serving.window.step_hours:g} h and {other.fields[0].name!r} from "
                f"{other.store.path} every {other.window.step_hours:g} h; use WindowDataset."
            )
        return serving

    def _check_slab(self, window: tuple[int, ...], grid: tuple[int, ...]) -> None:
        fitting = tuple(
            int(np.clip(n, w, g)) for n, w, g in zip(self.slab, window, grid, strict=True)
        )
        if self.slab != fitting:
            raise UserError(
                f"SlabDataset.slab {self.slab} (time, lat, lon) must hold a window of {window} "
                f"points and fit the store's {grid}; the nearest slab that does is {fitting}."
            )

    def _starts(self, name: str, period: tuple[int, int]) -> np.ndarray:
        of = self._stores.reference
        slab = Window(self.slab, of.window.step_hours)
        return periods.allowed_starts(name, of.store.time, period, slab, of.stride, "slab")

    def slab_bytes(self, batch_size: int) -> int:
        """Returns the bytes that all slabs take at most while batches of a size are made.

        Needs an open dataset.
        """
        reader, points = self._stores.reference.reader, int(np.prod(self.slab))
        slab = sum(reader.bytes_of(field.name, points) for field in self.fields)
        # Those of batches that are made or wait, and those that are read ahead.
        samples = (MOST_WAITING * self.threads + 2) * batch_size + self.patches
        return Lanes(self.lanes, self.patches).most(samples) * slab

    def _source(self, split: Split, seed: int, samples, first: int) -> Source:
        positions = self._slab_positions[split]
        start = functools.partial(self._start, positions, seed)
        slabs = Slabs(positions.lanes, samples, first, self.patches, start)
        return functools.partial(self._cut, positions, seed, samples, slabs)

    def _start(self, positions: SlabPositions, seed: int, slab: int) -> Slab:
        """Starts to read all fields of a slab."""
        serving, corner = self._stores.reference, positions.slab(seed, slab)
        indices = serving.indices(corner, self.slab)

        fields = {f.name: f for f in self.fields}

        def check(name: str, values: np.ndarray) -> None:
            checks.check_window_values(serving.store, fields[name], values, indices)

        return Slab({f.name: serving.read(f.name, corner, self.slab) for f in self.fields}, check)

    @contextlib.contextmanager
    def _cut(self, positions: SlabPositions, seed: int, samples, slabs: Slabs, step: int):
        with slabs.step(step) as live:

            def cube(row: int, field: FieldSpec) -> np.ndarray:
                place = positions.lanes.place(samples(step)[row])
                values = live(place.slab).values(field.name)
                corner = positions.offset(seed, place)
                cut = zip(corner, field.window.shape, strict=True)
                return values[(slice(None), *(slice(i, i + n) for i, n in cut))]

            yield cube
