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
    """Weights of a list of points, each of which belongs to one cell.

    Args:
        cell: `(point,)` row-major index of the cell.
        shape: shape of the cells.
        weight: `(point,)`; all points count 1 if None.
    """

    def __init__(self, cell: np.ndarray, shape: tuple[int, ...], weight: np.ndarray | None = None):
        self._cell, self._shape, self._weight = cell, shape, weight
        self._size = int(np.prod(shape))

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
        shape = counted.shape[:num_axes]
        sizes = counted.reshape(int(np.prod(shape)), -1).sum(axis=1)
        cell = np.repeat(np.arange(len(sizes)), sizes)
        if weight is not None:
            weight = np.broadcast_to(weight, counted.shape)[counted].astype(np.float64)
        return cls(cell, shape, weight)

    @functools.cached_property
    def sum(self) -> np.ndarray:
        """Sum of the weights `(*cells)`."""
        weight = self._weight
        return np.bincount(self._cell, weight, self._size).astype(np.float64).reshape(self._shape)

    def total(self, values):
        """Return the weighted sums `(*cells)` of values `(point,)`."""
        values = values if self._weight is None else values * self._weight
        return np.bincount(self._cell, values, self._size).reshape(self._shape)

    def counts(self, category, number, share=1.0):
        """Return the weight `(*cells, category)` of the points of each category."""
        weight = share if self._weight is None else share * self._weight
        weight = np.broadcast_to(weight, category.shape)
        found = np.bincount(self._cell * number + category, weight, self._size * number)
        return found.reshape(*self._shape, number)


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
