"""A prediction that is ready to begin: everything is opened and has been checked."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from atmorep_k._version import __version__
from atmorep_k.earth.places import Place
from atmorep_k.errors import UserError
from atmorep_k.inference import output as prediction_files
from atmorep_k.inference.batches import forget_shapes
from atmorep_k.inference.checks import check_grid, cover, written_fields
from atmorep_k.inference.frame import Frame
from atmorep_k.inference.hours import all_hours, hidden_hours
from atmorep_k.inference.opening import open_dataset, opened_model
from atmorep_k.inference.place_frame import PlaceFrame
from atmorep_k.inference.place_windows import around
from atmorep_k.inference.starts import parse_times, window_starts

_TITLES = {
    "forecast": "Forecast",
    "interpolate": "Interpolation in time",
    "reconstruct": "Reconstruction of random tokens",
    "infill": "Record with predictions where values are missing",
    "counterfactual": "Prediction told the truth and something else",
    "correct": "Reconstruction of another model's fields",
    "rollout": "Forecast by a model that is fed with its own forecasts",
}


@dataclasses.dataclass(frozen=True)
class Prepared:
    """What `inference.predict` takes.

    Args:
        model: opened.
        dataset: opened for it.
        masking: what is hidden, or several, of which no two hide the same.
        starts: `(time,)` indices in the store of the first times of windows.
        frame: the grid and the hours to predict.
    """

    model: Any
    dataset: Any
    masking: Any
    starts: np.ndarray
    frame: Frame

    @property
    def maskings(self) -> list:
        """All maskings: each window is predicted once with each of them."""
        return self.masking if isinstance(self.masking, list) else [self.masking]


def prepare(
    task: str,
    model,
    store: str,
    times: Sequence,
    masking_for: Callable[[Any], Any],
    *,
    whole: bool = False,
    stores: dict[str, str] | None = None,
    fields: Sequence[str] | None = None,
    region: Sequence[float] | None = None,
    places: Sequence[Place] | None = None,
    overlap: Sequence[int] = (0, 0),
    batch_size: int = 16,
    output: str | Path | None = None,
    overwrite: bool = False,
    after_hours: float = 0,
) -> Prepared:
    """Opens model and stores and checks that they fit what is wanted; arguments as `inference.run`.

    Args:
        whole: whether the result holds whole windows; else the hours that the masking hides.
        after_hours: how far after the record windows may begin.

    Raises:
        UserError: where something does not fit.
    """
    if output is not None:
        prediction_files.check_output(Path(output), overwrite)
    if batch_size < 1:
        raise UserError(f"the batch size must be at least 1, not {batch_size}.")
    parse_times(times)
    model, name = opened_model(model, store, stores)
    masking, written = masking_for(model), written_fields(model, fields)
    forget_shapes(model)
    if whole:
        hours = all_hours(model.fields, written)
    else:
        hours = hidden_hours(masking, model.fields, written)
    windows_after = 1 + math.ceil(after_hours / written[0].window.hours)
    dataset = open_dataset(store, stores, model, written[0].name, windows_after)
    starts = window_starts(dataset, model.fields, written, hours, times)
    store_of = {f.name: dataset.store_of(f.name) for f in written}
    if places is None:
        windows = cover(dataset.store_of(), written[0], overlap, region)
    else:
        windows = around(dataset.store_of(), written[0], places)
    attributes = _attributes(task, name, dataset, written)
    of_kind = Frame if places is None else PlaceFrame
    frame = of_kind(dataset.store_of(), store_of, windows, hours, written, attributes)
    check_grid(dataset, model.fields, written, frame.samples(starts))
    return Prepared(model, dataset, masking, starts, frame)


def _attributes(task: str, model: str, dataset, written: Sequence) -> dict[str, Any]:
    store, title = dataset.store_of(), f"{_TITLES[task]} by an AtmoRep model"
    kept = ("title", "source", "attribution", "simulated", "fingerprint")
    found = {f"store_{k}": store.attributes[k] for k in kept if store.attributes.get(k)}
    found = {k: str(v) if isinstance(v, bool) else v for k, v in found.items()}
    paths = {f.name: str(dataset.store_of(f.name).path) for f in written}
    if len(set(paths.values())) > 1:
        found["stores"] = ", ".join(f"{name}: {path}" for name, path in paths.items())
    return {
        "Conventions": "CF-1.11",
        "title": title,
        "source": f"atmorep_k {__version__}, model {model}",
        "task": task,
        "store": str(store.path),
        **found,
    }
