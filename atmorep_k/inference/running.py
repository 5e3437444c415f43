"""The one way from a model and a store to a labelled prediction."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atmorep_k.data.stores.base import Store
from atmorep_k.inference import output as prediction_files
from atmorep_k.inference.plan import prepare
from atmorep_k.inference.resuming import partial_of
from atmorep_k.inference.variants import Variants
from atmorep_k.inference.window_choice import WindowChoice

if TYPE_CHECKING:
    import xarray as xr

    from atmorep_k.earth.places import Place
from atmorep_k.inference.predicting import predict


def run(
    task: str,
    model,
    store: str,
    times: Sequence,
    masking_for: Callable[[Any], Any],
    *,
    at_random: bool = False,
    whole: bool = False,
    seed: int = 0,
    variants: Variants | None = None,
    choose: Callable[..., WindowChoice] | None = None,
    stores: dict[str, str] | None = None,
    fields: Sequence[str] | None = None,
    region: Sequence[float] | None = None,
    places: "Sequence[Place] | None" = None,
    overlap: Sequence[int] = (0, 0),
    batch_size: int = 16,
    members: bool = True,
    output: str | Path | None = None,
    overwrite: bool = False,
    resume: bool = False,
    settings: Any = None,
    progress: Callable[[int, int], None] | None = None,
    finish: Callable[["xr.Dataset", Any, dict[str, Store]], None] | None = None,
) -> "xr.Dataset":
    """Predicts what a masking hides of the windows that cover a store or a region of it.

    Args:
        task: name of what is done, for the attributes of the result.
        model: a model, or the path of a saved one or of its run.
        store: path of a store, or `"demo"`.
        times: the times that name the predictions.
        masking_for: function model -> masking.
        at_random: whether the masking draws what it hides; the result then holds whole windows.
        whole: whether the result holds whole windows, of which all is predicted.
        seed: of what is drawn.
        variants: what else the model is told, see `predict`.
        choose: function (model, dataset, starts, frame) -> what is predicted of which windows,
            where that depends on the data; in place of the masking.
        stores: field (or an alias) -> path of the store that has it, see `WindowDataset`.
        fields: the predicted fields that are written, which must share grid and time step; all if
            None. Those that are not written may lie on any grid.
        region: (south, north, west, east) in degrees; None for the whole grid.
        places: places to predict at, each in a window of its own, in place of a region.
        overlap: tokens of the first written field that windows share in (lat, lon), at most
            half a window; there they are blended.
        batch_size: windows predicted at once.
        members: give all members; else only their mean and spread.
        output: file (`.nc`) or directory (`.zarr`) to write the result to, time by time; it
            appears when it is complete. None: the result is kept in memory.
        overwrite: replace an existing output.
        resume: go on with what the same call left when it was stopped, if there is something; of
            an output that ends in `.zarr`.
        settings: what `variants` and `choose` depend on; `repr` tells it from others.
        progress: called with the number of windows predicted so far, and of all.
        finish: called at the end with the result, the model and the stores of written fields.

    Returns:
        For each written field `<field>` in physical units, with dimensions `time`,
        `prediction_timedelta`, `number`, `level`, `latitude`, `longitude`; without members
        `<field>` is their mean and `<field>_spread` their standard deviation. Read from `output`
        as it is used, where that is given.

    Raises:
        UserError: where something does not fit, before work begins.
    """
    plan = prepare(
        task,
        model,
        store,
        times,
        masking_for,
        whole=at_random or whole,
        stores=stores,
        fields=fields,
        region=region,
        places=places,
        overlap=overlap,
        batch_size=batch_size,
        output=output,
        overwrite=overwrite,
    )
    options = {"members": members, "progress": progress}
    options |= {"batch_size": batch_size, "at_random": at_random, "seed": seed}
    options["variants"] = variants
    if choose:
        choice = choose(plan.model, plan.dataset, plan.starts, plan.frame)
        changes = {"dataset": choice.dataset, "masking": choice.masking}
        plan, options["numbers"] = dataclasses.replace(plan, **changes), choice.numbers
    of_result = {"members": members, "batch_size": batch_size, "seed": seed}
    of_result |= {"overlap": overlap, "others": settings}
    partial = partial_of(plan, output, resume, **of_result)
    options["skip"] = partial.done if partial else 0
    pieces = predict(plan.model, plan.dataset, plan.maskings, plan.starts, plan.frame, **options)
    result = prediction_files.collect(pieces, plan.frame.encoding(), output, partial)
    if finish:
        finish(result, plan.model, plan.frame.stores)
    return result
