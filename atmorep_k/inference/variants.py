"""The same windows predicted several times, from inputs that differ."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

Arrays = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Variants:
    """What a model is told of windows besides what is true, and what is made of its answers.

    Every batch is predicted as it is, and then once more for each change: the windows, what is
    hidden of them and the other windows of the batch are the same.

    Args:
        changes: name of a variant -> function (inputs of a batch, time that names the
            prediction) -> inputs of the same shapes; those given stay as they are.
        combine: function (variant -> its prediction of one time, all members; the plain one is
            `""`), (whether members are wanted) -> what is given in their place. None, where
            there are no changes: the plain one.
    """

    changes: Mapping[str, Callable[[Arrays, np.datetime64], Arrays]] = dataclasses.field(
        default_factory=dict
    )
    combine: Callable[[dict[str, "xr.Dataset"], bool], "xr.Dataset"] | None = None

    def of(self, name: str, time: np.datetime64) -> Callable[[Arrays], Arrays] | None:
        """Returns the change of a variant at a time; None for the plain one."""
        return functools.partial(self.changes[name], time=time) if name else None

    def dataset(self, frame, start: int, painted, *, members: bool, hidden: bool) -> "xr.Dataset":
        """Returns the prediction of the windows that start at an index of the store.

        Args:
            frame: the `stitching.Frame`.
            start: the index.
            painted: variant -> field -> its canvas, complete; used up.
            members: as in `Frame.dataset`.
            hidden: as in `Frame.dataset`.
        """
        if self.combine is None:
            return frame.dataset(start, painted[""], members=members, hidden=hidden)
        found = {
            name: frame.dataset(start, canvases, members=True, hidden=hidden)
            for name, canvases in painted.items()
        }
        return self.combine(found, members)
