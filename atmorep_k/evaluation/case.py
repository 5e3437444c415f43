"""One forecast beside the truth."""

import dataclasses
import functools
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np

from atmorep_k.evaluation.weights import GridWeights, PointWeights, Weights


@dataclasses.dataclass(frozen=True)
class Case:
    """One forecast beside the truth, and what each point counts.

    Args:
        members: `(member, *points)` float64; a single forecast has one member.
        truth: `(*points)` float64.
        weights: what points count, and to which cells they belong.
        climatology: `(*points)`, for the scores of anomalies.
        scale: `(*points)` standard deviation that normalises the field, for normalised scores.
    """

    members: np.ndarray
    truth: np.ndarray
    weights: Weights
    climatology: np.ndarray | None = None
    scale: np.ndarray | None = None

    @classmethod
    def where(
        cls,
        counted: np.ndarray,
        members: np.ndarray,
        truth: np.ndarray,
        *,
        num_axes: int,
        weight: np.ndarray | None = None,
        scale: np.ndarray | None = None,
    ) -> "Case":
        """Return the case of those points of an array that count.

        A value of a forecast that is not finite at such a point makes its scores NaN.

        Args:
            counted: bool array.
            members: `(member, ...)`, each like `counted`.
            truth: like `counted`.
            num_axes: how many leading axes of `counted` the cells keep.
            weight: broadcastable to `counted`; all points count 1 if None.
            scale: broadcastable to `counted`.
        """
        if scale is not None:
            scale = np.broadcast_to(scale, counted.shape)[counted].astype(np.float64)
        # `members[:, counted]` says the same and takes many times as long.
        chosen = members.reshape(len(members), -1).take(np.flatnonzero(counted), axis=1)
        return cls(
            chosen.astype(np.float64),
            truth[counted].astype(np.float64),
            PointWeights.where(counted, num_axes, weight),
            scale=scale,
        )

    def beside(self, members: np.ndarray) -> "Case":
        """Return the case of another forecast `(member, *points)` at the same points."""
        return dataclasses.replace(self, members=members.astype(np.float64))

    @property
    def grid_weights(self) -> GridWeights:
        """The weights, for what needs whole grids."""
        assert isinstance(self.weights, GridWeights), "this statistic needs whole grids"
        return self.weights

    @property
    def number(self) -> int:
        """Members of the ensemble; 1 for a single forecast."""
        return len(self.members)

    @functools.cached_property
    def mean(self) -> np.ndarray:
        """Mean of the members `(*points)`."""
        return self.members[0] if self.number == 1 else self.members.mean(axis=0)

    @functools.cached_property
    def error(self) -> np.ndarray:
        """Error of the mean of the members `(*points)`, forecast - truth."""
        return self.mean - self.truth

    @functools.cached_property
    def sorted_members(self) -> np.ndarray:
        """The members of each point in ascending order `(member, *points)`."""
        return self.members if self.number == 1 else np.sort(self.members, axis=0)

    @functools.cached_property
    def _shared(self) -> dict[Hashable, Any]:
        return {}

    def shared(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """Return what several statistics need, made by the first of them.

        Args:
            key: names it.
            make: makes it.
        """
        if key not in self._shared:
            self._shared[key] = make()
        return self._shared[key]
