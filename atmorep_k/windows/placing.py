"""Where the window of one store lies in another: the same hours, the same degrees."""

import dataclasses

import numpy as np

from atmorep_k.data.stores.base import Store
from atmorep_k.data.stores.layout import mean_spacing

# Stands for no index: the window is not in the store.
NOWHERE = -1
# Two places are equally near where they differ by less than this share of a spacing.
_SLACK = 1e-3


@dataclasses.dataclass(frozen=True)
class Times:
    """The times of a store, and how a window takes them.

    Args:
        time: `(time,)` datetime64.
        number: times of a window.
        stride: steps of the store between two of them.
    """

    time: np.ndarray
    number: int
    stride: int

    def last(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns, for the window from each time on, its last index and whether it is whole."""
        # A window has no gap where its first and last time are as far apart as its steps add up to.
        first, reach = np.arange(len(self.time)), (self.number - 1) * self.stride
        last = np.minimum(first + reach, len(self.time) - 1)
        step = np.diff(self.time).min() if len(self.time) > 1 else np.timedelta64(0, "ns")
        without_gap = self.time[last] - self.time[first] == reach * step
        return last, without_gap & (first + reach < len(self.time))

    def first_of(self, other: "Times") -> np.ndarray:
        """Returns `(time,)`, the first index of the window that ends with each of another store.

        `NOWHERE` where one of the two has not all of its times.
        """
        # A time stands for the step that ends there: windows with different steps cover the same
        # hours if they end together, but then they begin at different times.
        ends, whole = other.last()
        ends = other.time[ends]
        last = np.minimum(np.searchsorted(self.time, ends), len(self.time) - 1)
        first = last - (self.number - 1) * self.stride
        whole &= (self.time[last] == ends) & (first >= 0)
        whole &= self.last()[1][np.maximum(first, 0)]
        return np.where(whole, first, NOWHERE)


@dataclasses.dataclass(frozen=True)
class Places:
    """The points along latitude or longitude, and how many of them a window takes.

    Args:
        degrees: `(point,)` from north to south, negative, or from west to east.
        size: points of a window.
        closed: whether the last point is followed by the first.
    """

    degrees: np.ndarray
    size: int
    closed: bool = False

    @property
    def spacing(self) -> float:
        """Degrees between two points."""
        return mean_spacing(self.degrees)

    @property
    def extent(self) -> float:
        """Degrees of a window."""
        return self.size * self.spacing

    def tolerance(self, other: "Places") -> float:
        """Half a spacing of the coarser grid, by which windows of two stores may differ."""
        return max(self.spacing, other.spacing) * (0.5 + _SLACK)

    def fitting(self, other: "Places") -> int | None:
        """Returns how many points make a window like that of another store; None if none do."""
        most = len(self.degrees)
        size = min(max(1, round(other.extent / self.spacing)), most) if self.spacing else most
        fitting = dataclasses.replace(self, size=size)
        return size if abs(fitting.extent - other.extent) <= self.tolerance(other) else None

    def middles(self) -> np.ndarray:
        """Returns `(corner,)`, the middle of the window from each point on, in degrees."""
        degrees, number = self.degrees, len(self.degrees)
        if self.size > number:
            return np.zeros(0)
        if self.closed:
            # Windows across the last longitude have their middle beyond it.
            degrees = np.concatenate([degrees, degrees[: self.size - 1] + 360.0])
        return (degrees[: len(degrees) - self.size + 1] + degrees[self.size - 1 :]) / 2

    def corners_of(self, other: "Places", period: float | None = None) -> np.ndarray:
        """Returns `(point,)`, where the window begins that lies as each one of another store.

        Middles are as near as the grid allows, of two the northern or western one; `NOWHERE`
        where they differ by more than half a spacing of the coarser grid.

        Args:
            other: the same axis of the other store.
            period: degrees after which places repeat.
        """
        corners = np.full(len(other.degrees), NOWHERE)
        ours, theirs = self.middles(), other.middles()
        if not len(ours) or not len(theirs):
            return corners
        order = np.arange(len(ours))
        if period:
            ours, theirs = ours % period, theirs % period
            order = np.argsort(ours, kind="stable")
            # The last point also precedes the first, and the first follows the last, a period away.
            ours = np.concatenate(
                [ours[order[-1:]] - period, ours[order], ours[order[:1]] + period]
            )
            order = np.concatenate([order[-1:], order, order[:1]])
        found = _nearest(ours, theirs, _SLACK * self.spacing)
        near = np.abs(ours[found] - theirs) <= self.tolerance(other)
        corners[: len(theirs)] = np.where(near, order[found], NOWHERE)
        return corners


def latitudes(store: Store, size: int) -> Places:
    """Returns the rows of a store."""
    return Places(-store.latitude, size)


def longitudes(store: Store, size: int) -> Places:
    """Returns the columns of a store."""
    return Places(store.longitude, size, store.is_global)


def _nearest(values: np.ndarray, targets: np.ndarray, slack: float) -> np.ndarray:
    """Returns the index of the nearest of ascending values; of two, the first."""
    right = np.clip(np.searchsorted(values, targets), 1, max(1, len(values) - 1))
    left = right - 1
    # A single value is both neighbours.
    right = np.minimum(right, len(values) - 1)
    return np.where(targets - values[left] <= values[right] - targets + slack, left, right)
