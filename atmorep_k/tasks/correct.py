"""Another model's fields seen through a model: all of a window predicted from the rest of it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, get_args

from atmorep_k.components.maskings import ComplementaryTokens
from atmorep_k.data.named import store_path
from atmorep_k.data.opening import open_store
from atmorep_k.data.stores.base import Store
from atmorep_k.errors import UserError, unknown
from atmorep_k.evaluation.truth import beside
from atmorep_k.inference import opening, running
from atmorep_k.inference.frame import Frame
from atmorep_k.inference.members import mean_and_spread
from atmorep_k.inference.variants import Variants
from atmorep_k.inference.window_choice import WindowChoice

if TYPE_CHECKING:
    import xarray as xr

Statistics = Literal["model", "store"]


def correct(
    model,
    store: str,
    times: Sequence,
    *,
    passes: int = 4,
    statistics: Statistics = "model",
    truth: str | None = None,
    stores: dict[str, str] | None = None,
    **options,
) -> "xr.Dataset":
    """Reconstructs fields, of another model than the data of training, from themselves.

    Every token is hidden in one of several passes over the same window and predicted from those
    that are visible then (`ComplementaryTokens`); the result consists of these predictions only.
    What the model has not learnt to expect from the neighbourhood does not come back.

    Args:
        model: as in `inference.forecast`.
        store: the fields to correct, on levels and a grid spacing of the model.
        times: the first hours of windows.
        passes: passes over each window; in each about 1 / passes of the tokens are hidden.
        statistics: mean and standard deviation that the input is normalised by: those of the
            `model`, of its training, or those of the `store`, which takes out what differs in the
            mean and the variability of each month. What is predicted is always denormalised by
            those of the model.
        truth: path of a store to compare with, or `"demo"`; it is checked to fit before work begins
            and becomes the attribute `truth`.
        stores: as in `inference.run`.
        **options: see `inference.run`.

    Returns:
        As `inference.run`, all hours of the window; beside each `<field>`, `<field>_input` is what
        the store has and `<field>_difference` the mean of the members less that.

    Raises:
        UserError: where something does not fit, before work begins.
    """
    if statistics not in get_args(Statistics):
        raise unknown("statistics", statistics, get_args(Statistics))
    known = None if truth is None else open_store(store_path(truth))
    task = _Correcting(store, stores, passes, statistics, known)
    options |= {"variants": Variants(combine=task.combined), "choose": task.choose}

    def masking_for(model):
        fewest = min(f.tokens_per_level for f in model.predicted)
        if not 2 <= passes <= fewest:
            raise UserError(f"passes must be 2 to {fewest}, for this model, not {passes}.")
        return _parts(passes)

    return running.run(
        "correct", model, store, times, masking_for, whole=True, stores=stores, **options
    )


def _parts(passes: int) -> list:
    return [ComplementaryTokens(passes, part) for part in range(passes)]


class _Correcting:
    """What is known once the windows are: the grid, the statistics, what is compared with."""

    def __init__(self, store: str, stores, passes: int, statistics: str, truth: Store | None):
        self._store, self._stores, self._passes = store, stores, passes
        self._statistics, self._truth = statistics, truth
        self._frame: Frame | None = None

    def choose(self, model, dataset, starts, frame: Frame) -> WindowChoice:
        """Returns all windows with all parts to hide, normalised as asked."""
        self._frame = frame
        frame.attributes["statistics"] = self._statistics
        if self._truth is not None:
            frame.attributes["truth"] = str(self._truth.path)
            self._check_truth(starts)
        if self._statistics == "store":
            opened = self._store, self._stores, model, frame.fields[0].name
            dataset = opening.open_dataset(*opened, own_statistics=True)
        numbers = {start: range(len(frame.tiling)) for start in starts}
        return WindowChoice(dataset, _parts(self._passes), numbers)

    def _check_truth(self, starts) -> None:
        """Raises a `UserError` where the truth lacks a field, level, place or hour."""
        from atmorep_k.evaluation.predictions.matching import match

        frame = self._frame
        for start in map(int, starts):
            empty = {f.name: frame.canvas(f, 1) for f in frame.fields}
            match(frame.dataset(start, empty, members=True, hidden=False), self._truth)

    def combined(self, found: dict[str, "xr.Dataset"], members: bool) -> "xr.Dataset":
        """Returns a prediction of one time, the input and the difference to it."""
        prediction = found[""]
        variables = {}
        for field in self._frame.fields:
            one = prediction[field.name]
            title = one.attrs["long_name"]
            given = beside(self._frame.stores[field.name], field, one.isel(number=0, drop=True))
            reduced = mean_and_spread(field.name, one.variable)
            difference = reduced[field.name] - given.variable
            # Without a standard name: it is none of the quantity itself.
            difference.attrs = {
                "units": one.attrs["units"],
                "long_name": f"{title}, mean of the members less the input",
            }
            given.attrs = one.attrs | {"long_name": f"{title}, input"}
            variables |= {field.name: one.variable} if members else reduced
            variables[f"{field.name}_input"] = given.variable
            variables[f"{field.name}_difference"] = difference
        kept = {n: c.variable for n, c in prediction.coords.items() if members or n != "number"}
        return type(prediction)(variables, kept, prediction.attrs)
