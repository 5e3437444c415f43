"""What each point counts, and to which cells of the result it belongs."""

import abc
import functools

import numpy as np


class Weights(abc.ABC):
    """Weights of points. Sums over points come out by cell: by level, region, lead time, ...

    Every scorer differs from the others in its weights alone.
    """

    @property
    @abc.abstractmethod
    def sum(self) -> np.ndarray:
        """Sum of the weights `(*cells)`."""

    @abc.abstractmethod
    def total(self, values: np.ndarray) -> np.ndarray:
        """Return the weighted sums `(*cells)` of values `(*points)`."""

    @abc.abstractmethod
    def counts(self, category: np.ndarray, number: int, share=1.0) -> np.ndarray:
        """Return the weight `(*cells, category)` of the points of each category.

        Args:
            category: `(*points)` integers 0 .. number - 1.
            number: number of categories.
            share: `(*points)` part of its weight that a point brings.
        """


class PointWeights(Weights):
    """Weights of a list of points, cell by cell.

    Args:
        sizes: `(*cells)` how many points each cell has.
        weight: `(point,)`; all points count 1 if None.
    """

    def __init__(self, sizes: np.ndarray, weight: np.ndarray | None = None):
        self._sizes, self._weight = sizes, weight
        ends = sizes.cumsum()
        # `reduceat` needs the first points of those cells that have any.
        self._filled = np.flatnonzero(sizes)
        self._first = (ends - sizes.ravel())[self._filled]

    @classmethod
    def where(cls, counted: np.ndarray, num_axes: int, weight=None) -> "PointWeights":
        """Return the weights of the points of an array that count.

        The leading axes of the array are those of the cells. `values[counted]` lists the points in
        the same order.

        Args:
            counted: bool array.
            num_axes: how many leading axes the cells keep.
            weight: broadcastable to `counted`; all points count 1 if None.
        """
        if weight is not None:
            weight = np.broadcast_to(weight, counted.shape)[counted].astype(np.float64)
        return cls(counted.sum(axis=tuple(range(num_axes, counted.ndim))), weight)

    @functools.cached_property
    def sum(self) -> np.ndarray:
        """Sum of the weights `(*cells)`."""
        return self._sizes.astype(np.float64) if self._weight is None else self._add(self._weight)

    def total(self, values):
        """Return the weighted sums `(*cells)` of values `(point,)`."""
        return self._add(values if self._weight is None else values * self._weight)

    def counts(self, category, number, share=1.0):
        """Return the weight `(*cells, category)` of the points of each category."""
        weight = share if self._weight is None else share * self._weight
        weight = np.broadcast_to(weight, category.shape)
        found = np.bincount(self._cell * number + category, weight, self._sizes.size * number)
        return found.reshape(*self._sizes.shape, number)

    @functools.cached_property
    def _cell(self) -> np.ndarray:
        """Row-major index of the cell of each point `(point,)`."""
        return np.repeat(np.arange(self._sizes.size), self._sizes.ravel())

    def _add(self, values: np.ndarray) -> np.ndarray:
        found = np.zeros(self._sizes.size)
        if len(self._filled):
            found[self._filled] = np.add.reduceat(values, self._first)
        return found.reshape(self._sizes.shape)


class GridWeights(Weights):
    """Weights of whole grids, by level and region; a point may lie in several regions.

    Values must be finite where the weight is 0 as well.

    Args:
        weight: `(level, region, lat, lon)`, 0 where a point does not count.
        counted: bool `(level, lat, lon)`, which points have values.
    """

    def __init__(self, weight: np.ndarray, counted: np.ndarray):
        self.weight, self.counted = weight, counted

    def only(self, chosen: np.ndarray) -> "GridWeights":
        """Return the weights of chosen points, bool `(level, lat, lon)`; the others count 0."""
        return GridWeights(self.weight * chosen[:, None], self.counted & chosen)

    @functools.cached_property
    def sum(self) -> np.ndarray:
        """Sum of the weights `(level, region)`."""
        return self.weight.sum(axis=(-2, -1))

    def total(self, values):
        """Return the weighted sums `(level, region)` of values `(level, lat, lon)`."""
        weight = self.weight.reshape(*self.weight.shape[:2], -1)
        values = np.asarray(values, np.float64).reshape(len(weight), -1, 1)
        return (weight @ values)[..., 0]

    def counts(self, category, number, share=1.0):
        """Return the weight `(level, region, category)` of the points of each category."""
        share = np.broadcast_to(share, category.shape)
        found = np.zeros((*self.weight.shape[:2], number))
        for level, region in np.ndindex(found.shape[:2]):
            weight = (self.weight[level, region] * share[level]).ravel()
            found[level, region] = np.bincount(category[level].ravel(), weight, number)
        return found
