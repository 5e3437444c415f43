"""Which windows are predicted, and from which inputs: once as they are, and once per variant."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from atmorep_k.protocols import Masking, Windows

if TYPE_CHECKING:
    import xarray as xr

Arrays = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class WindowChoice:
    """The windows to predict out of those that cover a grid, and what a model sees of them.

    Args:
        dataset: gives the windows.
        maskings: what is masked; each window is predicted once with each of them.
        numbers: start -> numbers of its windows in the tiling, at least one.
    """

    dataset: Windows
    maskings: Sequence[Masking]
    numbers: Mapping[int, Sequence[int]]


@dataclasses.dataclass(frozen=True)
class Variants:
    """Changed inputs that a model gets besides the true ones, and how its answers are combined.

    Every batch is predicted as it is, and then once more for each change: the windows, what is
    masked and the other windows of the batch stay the same.

    Args:
        changes: name of a variant -> function (inputs of a batch, time that names the
            prediction) -> inputs of the same shapes; it must not change those it is given.
        combine: function (variant -> its prediction of one time with all members; the unchanged
            one is `""`), (whether members are wanted) -> what takes their place. None, where
            empty: only the unchanged prediction.
    """

    changes: Mapping[str, Callable[[Arrays, np.datetime64], Arrays]] = dataclasses.field(
        default_factory=dict
    )
    combine: Callable[[dict[str, "xr.Dataset"], bool], "xr.Dataset"] | None = None

    def of(self, name: str, time: np.datetime64) -> Callable[[Arrays], Arrays] | None:
        """Returns the change of a variant at a time; None for the plain one."""
        if not name:
            return None
        change = self.changes[name]
        return lambda inputs: change(inputs, time)

    def dataset(self, frame, start: int, painted, *, members: bool, hidden: bool) -> "xr.Dataset":
        """Returns the prediction of the windows that start at an index of the store.

        Args:
            frame: the `Frame`.
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
