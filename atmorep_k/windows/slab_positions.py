"""Where slabs lie in a store, and windows in them."""

import dataclasses

import numpy as np

from atmorep_k.fields import Position
from atmorep_k.windows.positions import Positions, weighted
from atmorep_k.windows.randomness import below, bits
from atmorep_k.windows.slabs import Lanes, SlabPlace


@dataclasses.dataclass(frozen=True)
class SlabPositions:
    """Draws the position of sample `index` of an epoch, a function of (seed, epoch, index) alone.

    Args:
        slabs: draws the positions of slabs; its `samples_per_epoch` is the number of lanes.
        lanes: which slab and patch a sample shows.
        samples_per_epoch: samples of an epoch.
        room: places of a window in a slab along (time, lat, lon).
        weights: `(row,)` how likely a window begins at each row of the store.
        stride: steps of the store between two times of a window.
        columns: columns of the store.
    """

    slabs: Positions
    lanes: Lanes
    samples_per_epoch: int
    room: tuple[int, int, int]
    weights: np.ndarray
    stride: int
    columns: int

    def __call__(self, seed: int, epoch: int, index: int) -> Position:
        """Returns the position of a sample."""
        place = self.lanes.place(epoch * self.samples_per_epoch + index)
        slab, (time, row, column) = self.slab(seed, place.slab), self.offset(seed, place)
        return Position(
            slab.time + time * self.stride, slab.row + row, (slab.column + column) % self.columns
        )

    def slab(self, seed: int, slab: int) -> Position:
        """Returns the corner of a slab, a function of (seed, lane, number in the lane)."""
        return self.slabs(seed, *divmod(slab, self.lanes.number))

    def offset(self, seed: int, place: SlabPlace) -> tuple[int, int, int]:
        """Returns where a window begins in its slab, a function of (seed, slab, patch)."""
        row, (times, rows, columns) = self.slab(seed, place.slab).row, self.room
        raw = bits(seed, f"{self.slabs.split}/patch", *place).random_raw(3)
        return (
            below(raw[0], times),
            weighted(raw[1], self.weights[row : row + rows]),
            below(raw[2], columns),
        )


def corners_around(corners: np.ndarray, margin: int, allowed: np.ndarray, period: int | None):
    """Returns for each corner of a window the corner of the slab that has it in its middle.

    Where the slab must not lie there, the nearest that may. So windows at the edge of a region or
    beside a pole, which few slabs could hold otherwise, are not much rarer than others.

    Args:
        corners: `(corner,)` of windows along one axis.
        margin: points between the corners of a slab and of a window in its middle.
        allowed: corners that a slab may have.
        period: points after which the axis begins again; None where it ends.
    """
    distance = np.abs((corners - margin)[:, None] - allowed)
    if period:
        # The way round the globe may be the shorter one.
        distance = np.minimum(distance % period, -distance % period)
    return allowed[distance.argmin(axis=1)]
