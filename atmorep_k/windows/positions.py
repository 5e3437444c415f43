"""Where windows lie in a store: which places are allowed, and which one a sample shows."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from atmorep_k.data.stores.statistics import area_weights
from atmorep_k.earth import places
from atmorep_k.errors import UserError
from atmorep_k.fields import Position
from atmorep_k.windows.randomness import below, bits, fraction, permutation


@dataclasses.dataclass(frozen=True)
class Positions:
    """Draws the position of sample `index` of an epoch, a function of (seed, epoch, index) alone.

    Each start time occurs once before any occurs again. The centre of a window is uniform in
    longitude, and in latitude by the weights of the rows.

    Args:
        split: `"train"` or `"validation"`, which draw independently.
        starts: `(start,)` times at which a window may start.
        rows: `(row,)` northernmost rows that a window may have.
        weights: `(row,)` probability of each of them.
        columns: `(column,)` westernmost columns that a window may have.
        samples_per_epoch: samples of an epoch.
    """

    split: str
    starts: np.ndarray
    rows: np.ndarray
    weights: np.ndarray
    columns: np.ndarray
    samples_per_epoch: int

    def __call__(self, seed: int, epoch: int, index: int) -> Position:
        """Returns the position of a sample."""
        turn, place = divmod(epoch * self.samples_per_epoch + index, len(self.starts))
        order = permutation(seed, f"{self.split}/time", turn, len(self.starts))
        # Raw bits stay the same in later versions of NumPy (`randomness`).
        for_row, for_column = bits(seed, f"{self.split}/place", epoch, index).random_raw(2)
        return Position(
            int(self.starts[order[place]]),
            int(self.rows[weighted(for_row, self.weights)]),
            int(self.columns[below(for_column, len(self.columns))]),
        )


def weighted(raw: int, weights: np.ndarray) -> int:
    """Returns an index made of 64 random bits; each is as likely as its weight says."""
    limits = np.cumsum(weights)
    index = np.searchsorted(limits, fraction(raw) * limits[-1], side="right")
    # A fraction just below 1 may be rounded to the whole sum.
    return min(int(index), len(weights) - 1)


def row_weights(latitude: np.ndarray, rows: np.ndarray, size: int, uniform: bool) -> np.ndarray:
    """Returns the probability of each northernmost row of a window of `size` rows.

    Args:
        latitude: `(lat,)` degrees, descending.
        rows: northernmost rows, consecutive.
        size: rows of a window.
        uniform: whether the centre is uniform in area (in the sine of its latitude); else every
            row is as likely as any other.
    """
    if not uniform:
        return np.full(len(rows), 1 / len(rows))
    centres = (latitude[rows + (size - 1) // 2] + latitude[rows + size // 2]) / 2
    return area_weights(centres)


def allowed_corners(
    latitude: np.ndarray,
    longitude: np.ndarray,
    is_global: bool,
    size: tuple[int, int],
    region: Sequence[float] | None,
    what: str = "window",
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the northernmost rows and westernmost columns of windows that lie inside.

    Args:
        latitude: `(lat,)` degrees, descending.
        longitude: `(lon,)` degrees, ascending.
        is_global: whether the last longitude is followed by the first.
        size: points of a window in (lat, lon).
        region: (south, north, west, east) in degrees that hold the whole window; None for the
            whole grid. West may be greater than east: the region then crosses 0 or 180 degrees.
        what: what a window is called in messages.

    Raises:
        UserError: if the window does not fit.
    """
    shape = (len(latitude), len(longitude))
    if size[0] > shape[0] or size[1] > shape[1]:
        raise UserError(
            f"a {what} of {size[0]} x {size[1]} points (lat, lon) does not fit the store's grid of "
            f"{shape[0]} x {shape[1]}."
        )
    of_rows, of_columns = np.ones(shape[0], bool), np.ones(shape[1], bool)
    if region is not None:
        of_rows, of_columns, _ = places.inside(latitude, longitude, region)
    rows = _corners(of_rows, size[0], wrap=False)
    columns = _corners(of_columns, size[1], wrap=is_global)
    if not len(rows) or not len(columns):
        assert region is not None  # the whole grid holds a window, see above
        raise UserError(
            f"a {what} of {size[0]} x {size[1]} points (lat, lon) does not fit the region "
            f"{tuple(region)} (south, north, west, east), which holds {of_rows.sum()} x "
            f"{of_columns.sum()} points of the store."
        )
    return rows, columns


def _corners(inside: np.ndarray, size: int, wrap: bool) -> np.ndarray:
    # A window may begin at the last columns and end at the first ones.
    if wrap:
        inside = np.concatenate([inside, inside[: size - 1]])
    # A window lies inside where as many of its points do as it has.
    counts = np.concatenate([[0], np.cumsum(inside)])
    return np.flatnonzero(counts[size:] - counts[:-size] == size)
