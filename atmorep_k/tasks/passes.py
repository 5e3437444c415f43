"""The passes of a correction: every token of a window is masked in one of them."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from atmorep_k.components.maskings import ComplementaryTokens
from atmorep_k.data.named import store_path
from atmorep_k.data.opening import open_store
from atmorep_k.data.stores.base import Store
from atmorep_k.errors import UserError, unknown
from atmorep_k.evaluation.predictions.matching import match
from atmorep_k.evaluation.truth import beside
from atmorep_k.inference.canvas import mean_and_spread
from atmorep_k.inference.frame import Frame
from atmorep_k.inference.opening import open_dataset
from atmorep_k.inference.request import Task
from atmorep_k.inference.variants import Variants, WindowChoice
from atmorep_k.protocols import Masking, Model
from atmorep_k.windows.opened import StoreWindows

if TYPE_CHECKING:
    import xarray as xr


@dataclasses.dataclass(frozen=True)
class Passes:
    """How a store is corrected.

    Args:
        store: path of the store with the fields to correct.
        stores: field -> path of the store that has it.
        number: passes over each window.
        statistics: `"model"` or `"store"`, whose statistics normalise the input.
    """

    store: str
    stores: Mapping[str, str] | None
    number: int
    statistics: str


def correcting(passes: Passes, truth: str | None) -> Task:
    """Returns the task that predicts every token from those that are visible in one of its passes.

    Args:
        passes: how.
        truth: path of a store to compare with, or `"demo"`.

    Raises:
        UserError: if the statistics or the truth are not valid.
    """
    known = ("model", "store")
    if passes.statistics not in known:
        raise unknown("statistics", passes.statistics, known)
    opened = None if truth is None else open_store(store_path(truth))
    of_windows = _Correcting(passes, opened)

    def masking_for(model: Model) -> list[Masking]:
        fewest = min(f.tokens_per_level for f in model.predicted)
        if not 2 <= passes.number <= fewest:
            raise UserError(f"passes must be 2 to {fewest}, for this model, not {passes.number}.")
        return _parts(passes.number)

    return Task(
        "correct",
        "Reconstruction of another model's fields",
        masking_for,
        whole=True,
        variants=Variants(combine=of_windows.combined),
        choose=of_windows.choose,
    )


def _parts(passes: int) -> list[Masking]:
    return [ComplementaryTokens(passes, part) for part in range(passes)]


class _Correcting:
    """What is known once the windows are: the grid, the statistics, what is compared with."""

    def __init__(self, passes: Passes, truth: Store | None):
        self._passes, self._truth = passes, truth
        self._frame: Frame | None = None

    def choose(self, model: Model, dataset: StoreWindows, starts, frame: Frame) -> WindowChoice:
        """Returns all windows with all parts to mask, normalised as asked."""
        passes, self._frame = self._passes, frame
        frame.attributes["statistics"] = passes.statistics
        if self._truth is not None:
            frame.attributes["truth"] = str(self._truth.path)
            _check_truth(frame, starts, self._truth)
        if passes.statistics == "store":
            dataset = open_dataset(
                passes.store, passes.stores, model, frame.fields[0].name, own_statistics=True
            )
        numbers = {start: range(len(frame.tiling)) for start in starts}
        return WindowChoice(dataset, _parts(passes.number), numbers)

    def combined(self, found: dict[str, "xr.Dataset"], members: bool) -> "xr.Dataset":
        """Returns a prediction of one time, the input and the difference to it."""
        assert self._frame is not None, "windows are chosen before they are combined"
        prediction = found[""]
        variables: dict[str, xr.Variable] = {}
        for field in self._frame.fields:
            one = prediction[field.name]
            title = one.attrs["long_name"]
            given = beside(self._frame.stores[field.name], field, one.isel(number=0, drop=True))
            reduced = mean_and_spread(field.name, one.variable)
            difference = reduced[field.name] - given.variable
            # Without a standard name: a difference is not the quantity itself.
            difference.attrs = {
                "units": one.attrs["units"],
                "long_name": f"{title}, mean of the members minus the input",
            }
            given.attrs = one.attrs | {"long_name": f"{title}, input"}
            variables |= {field.name: one.variable} if members else reduced
            variables[f"{field.name}_input"] = given.variable
            variables[f"{field.name}_difference"] = difference
        kept = {n: c.variable for n, c in prediction.coords.items() if members or n != "number"}
        return type(prediction)(variables, kept, prediction.attrs)


def _check_truth(frame: Frame, starts: Iterable[int], truth: Store) -> None:
    """Raises a `UserError` where the truth lacks a field, level, place or hour."""
    for start in map(int, starts):
        empty = {f.name: frame.canvas(f, 1) for f in frame.fields}
        match(frame.dataset(start, empty, members=True, hidden=False), truth)
