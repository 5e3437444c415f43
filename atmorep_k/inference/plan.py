"""A prediction that is ready to begin: everything is opened and has been checked."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from atmorep_k._version import __version__
from atmorep_k.errors import UserError
from atmorep_k.fields import FieldSpec
from atmorep_k.inference.batches import forget_shapes
from atmorep_k.inference.checks import check_grid, cover, written_fields
from atmorep_k.inference.frame import Frame
from atmorep_k.inference.hours import Hours, all_hours, hidden_hours
from atmorep_k.inference.opening import open_dataset, opened_model
from atmorep_k.inference.output import check_prediction_output
from atmorep_k.inference.place_windows import PlaceFrame, windows_around
from atmorep_k.inference.request import Domain, Output, Task
from atmorep_k.inference.starts import parse_times, window_starts
from atmorep_k.protocols import Masking, Model, Windows
from atmorep_k.windows.opened import StoreWindows


@dataclasses.dataclass(frozen=True)
class Prepared:
    """What `inference.predict` takes.

    Args:
        task: what is done.
        model: opened.
        dataset: opened for the fields of the model.
        maskings: what is masked; each window is predicted once with each of them, and no two mask
            the same.
        starts: `(time,)` indices in the store of the first times of windows.
        frame: the grid and the hours to predict.
        batch_size: windows predicted at once.
        numbers: start -> numbers of the windows that are predicted, at least one; None for all.
    """

    task: Task
    model: Model
    dataset: Windows
    maskings: Sequence[Masking]
    starts: np.ndarray
    frame: Frame
    batch_size: int
    numbers: Mapping[int, Sequence[int]] | None = None


def plan_prediction(
    model: Model | str | Path,
    times: Sequence,
    task: Task,
    domain: Domain,
    output: Output,
    batch_size: int = 16,
) -> Prepared:
    """Open model and stores and check that they fit the request.

    Args:
        model: a model, or the path of a saved one or of its run.
        times: the times that name the predictions.
        task: what is done.
        domain: where, and which fields.
        output: where the result goes.
        batch_size: windows predicted at once.

    Raises:
        UserError: if something does not fit.
    """
    if output.path is not None:
        check_prediction_output(Path(output.path), output.overwrite)
    if batch_size < 1:
        raise UserError(f"the batch size must be at least 1, not {batch_size}.")
    parse_times(times)
    model, name = opened_model(model, domain.store, domain.stores)
    masking, written = task.masking_for(model), written_fields(model, domain.fields)
    maskings = masking if isinstance(masking, list) else [masking]
    forget_shapes(model)
    if task.whole or task.at_random:
        hours = all_hours(model.fields, written)
    else:
        (only,) = maskings
        hours = hidden_hours(only, model.fields, written)
    windows_after = 1 + math.ceil(task.after_hours / written[0].window.hours)
    dataset = open_dataset(domain.store, domain.stores, model, written[0].name, windows_after)
    starts = window_starts(dataset, model.fields, written, hours, times)
    frame = _frame(task, domain, dataset, written, hours, name)
    check_grid(dataset, model.fields, written, frame.samples(starts))
    plan = Prepared(task, model, dataset, maskings, starts, frame, batch_size)
    if task.choose:
        choice = task.choose(model, dataset, starts, frame)
        plan = dataclasses.replace(plan, **vars(choice))
    return plan


def _frame(
    task: Task,
    domain: Domain,
    dataset: StoreWindows,
    written: Sequence[FieldSpec],
    hours: Hours,
    model: str,
) -> Frame:
    store = dataset.store_of()
    store_of = {f.name: dataset.store_of(f.name) for f in written}
    attributes = _attributes(task, model, dataset, written)
    if domain.places is None:
        tiling = cover(store, written[0], domain.overlap, domain.region)
        return Frame(store, store_of, tiling, hours, written, attributes)
    windows = windows_around(store, written[0], domain.places)
    return PlaceFrame(store, store_of, windows, hours, written, attributes)


def _attributes(
    task: Task, model: str, dataset: StoreWindows, written: Sequence[FieldSpec]
) -> dict[str, Any]:
    store = dataset.store_of()
    kept = ("title", "source", "attribution", "simulated", "fingerprint")
    found = {f"store_{k}": store.attributes[k] for k in kept if store.attributes.get(k)}
    found = {k: str(v) if isinstance(v, bool) else v for k, v in found.items()}
    paths = {f.name: str(dataset.store_of(f.name).path) for f in written}
    if len(set(paths.values())) > 1:
        found["stores"] = ", ".join(f"{name}: {path}" for name, path in paths.items())
    return {
        "Conventions": "CF-1.11",
        "title": f"{task.title} by an AtmoRep model",
        "source": f"atmorep_k {__version__}, model {model}",
        "task": task.name,
        "store": str(store.path),
        **found,
    }
