"""Windows to labelled predictions: forecasts, interpolations in time, reconstructions."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from atmorep_k.data.opening import Store
from atmorep_k.errors import UserError, unknown
from atmorep_k.evaluation.held_out.evaluate import predict_batch, scatter
from atmorep_k.fields import Position
from atmorep_k.inference import output as prediction_files
from atmorep_k.inference.frame import Canvas, Frame
from atmorep_k.inference.plan import prepare
from atmorep_k.inference.reading_ahead import THREADS, read_ahead
from atmorep_k.inference.resuming import partial_of
from atmorep_k.inference.variants import Variants
from atmorep_k.inference.window_choice import WindowChoice

if TYPE_CHECKING:
    import xarray as xr

    from atmorep_k.earth.places import Place


def forecast(
    model,
    store: str,
    times: Sequence,
    *,
    tokens: int | None = None,
    hours: float | None = None,
    **options,
) -> "xr.Dataset":
    """Forecasts the hours after each time, from the hours up to it.

    The result holds exactly the hidden hours: `time` is the last one that the model saw,
    `prediction_timedelta` counts from it. Hours after the end of the record can be forecast.

    Args:
        model: a model, or the path of a saved one or of its run.
        store: path of a store, or `"demo"`.
        times: the last visible hours, as text or datetime64.
        tokens: time tokens to forecast, at least one less than a window has; 1 if None.
        hours: how far to forecast, in place of the tokens: as many as it takes.
        **options: see `run`.

    Returns:
        See `run`.

    Raises:
        UserError: where something does not fit, before work begins.
    """
    return run("forecast", model, store, times, last_tokens(tokens, hours), **options)


def last_tokens(
    tokens: int | None = None,
    hours: float | None = None,
    further: str = "; 'rollout' forecasts further",
) -> Callable[[Any], Any]:
    """Returns the function model -> masking of a forecast, see `forecast`.

    Args:
        tokens: see `forecast`.
        hours: see `forecast`.
        further: what the user is told who asks for more than a window has.

    Raises:
        UserError: where both are given, or the hours are not positive.
    """
    if tokens is not None and hours is not None:
        raise UserError("a forecast is given its tokens or its hours, not both.")
    if hours is not None and not hours > 0:
        raise UserError(f"the hours to forecast must be more than 0, not {hours:g}.")

    def task(model):
        most = min(f.num_tokens[0] for f in model.predicted) - 1
        if hours is not None:
            each = max(f.token_size[0] * f.window.step_hours for f in model.predicted)
            if hours > most * each:
                raise UserError(
                    f"this model forecasts at most {most * each:g} h, not {hours:g}{further}."
                )
            return _masking("Forecast", num_tokens=math.ceil(hours / each))
        wanted = 1 if tokens is None else tokens
        if not 1 <= wanted <= most:
            hint = further if wanted > most else ""
            raise UserError(f"tokens must be 1 to {most}, for this model, not {wanted}{hint}.")
        return _masking("Forecast", num_tokens=wanted)

    return task


def interpolate(
    model, store: str, times: Sequence, *, time_token: int | None = None, **options
) -> "xr.Dataset":
    """Fills hidden hours inside a window, from the hours before and after.

    Args:
        model: as in `forecast`.
        store: as in `forecast`.
        times: the last visible hours before what is hidden.
        time_token: the hidden time token, counted from 0; the middle one if None.
        **options: see `run`.

    Returns:
        See `run`; exactly the hidden hours.

    Raises:
        UserError: where something does not fit, before work begins.
    """
    return run("interpolate", model, store, times, inner_token(time_token), **options)


def inner_token(time_token: int | None = None) -> Callable[[Any], Any]:
    """Returns the function model -> masking of an interpolation, see `interpolate`."""

    def task(model):
        last = min(f.num_tokens[0] for f in model.predicted) - 1
        if time_token is not None and not 1 <= time_token <= last:
            raise UserError(
                f"the time token must be 1 to {last}, for this model, not {time_token}."
            )
        hidden = None if time_token is None else (time_token,)
        return _masking("TemporalInterpolation", time_tokens=hidden)

    return task


def masking_for(task: str, tokens: int | None, time_token: int | None) -> Callable[[Any], Any]:
    """Returns the function model -> masking of a forecast or an interpolation.

    Args:
        task: `forecast` or `interpolate`.
        tokens: see `forecast`; 1 if None.
        time_token: see `interpolate`.

    Raises:
        UserError: where the task is none of these, or is given what belongs to the other.
    """
    if task not in ("forecast", "interpolate"):
        raise unknown("task", task, ("forecast", "interpolate"))
    if task == "forecast" and time_token is not None:
        raise UserError("a time token is chosen for 'interpolate', not for 'forecast'.")
    if task == "interpolate" and tokens is not None:
        raise UserError("a number of tokens is given for 'forecast', not for 'interpolate'.")
    if task == "forecast":
        return last_tokens(tokens)
    return inner_token(time_token)


def reconstruct(
    model, store: str, times: Sequence, *, ratio: float = 0.5, seed: int = 0, **options
) -> "xr.Dataset":
    """Hides random tokens and predicts them from the others, as in training.

    Windows do not share points: where the last one would, its tokens count only outside the one
    before it.

    Args:
        model: as in `forecast`.
        store: as in `forecast`.
        times: the first hours of windows.
        ratio: share of tokens that are hidden.
        seed: of the choice, which is a function of seed, time and place.
        **options: see `run`; there is no overlap.

    Returns:
        See `run`; all hours of the window, with NaN where nothing was hidden and `<field>_hidden`.

    Raises:
        UserError: where something does not fit, before work begins.
    """
    if not 0 < ratio < 1:
        raise UserError(f"the ratio must be greater than 0 and less than 1, not {ratio:g}.")
    if seed < 0:
        raise UserError(f"the seed must be 0 or greater, not {seed}.")

    def task(model):
        rates = {"hidden": 1.0, "noised": 0.0, "coarsened": 0.0}
        masking = _masking("RandomTokens", ratio=(ratio, ratio), **rates)
        fewest = min(f.tokens_per_level for f in model.predicted)
        if masking.num_slots((fewest,)) >= fewest:
            raise UserError(f"a ratio of {ratio:g} hides all {fewest} tokens of a window.")
        return masking

    return run("reconstruct", model, store, times, task, at_random=True, seed=seed, **options)


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


def _masking(name: str, **options):
    from atmorep_k import registry

    return registry.lookup(name, "masking")(**options)


def predict(
    model,
    dataset,
    maskings: Sequence,
    starts: Sequence[int],
    frame: Frame,
    *,
    batch_size: int = 16,
    members: bool = True,
    at_random: bool = False,
    seed: int = 0,
    variants: Variants | None = None,
    numbers: Mapping[int, Sequence[int]] | None = None,
    skip: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator["xr.Dataset"]:
    """Yields the labelled prediction of each start: windows are predicted and put together.

    Memory holds one start at a time: 8 bytes for each member, hidden hour, level and point of the
    predicted fields, and for each variant as much again. The order in which windows are added is
    always the same, so that the result does not depend on the size of a batch.

    Args:
        model: has `normalizers` and `predict_on_batch`.
        dataset: opened for the fields of the model; has `sample(tile, masking, rng)` and
            `indices(tile, field)`.
        maskings: what is hidden; each window is predicted once with each of them, and no two hide
            the same.
        starts: indices in the store of the first times of windows.
        frame: the grid and the hours to predict.
        batch_size: windows predicted at once; the last batch is filled up, so that shapes are
            the same throughout.
        members: give all members; else only their mean and spread.
        at_random: whether the masking draws what it hides: each point then counts in one window
            only, and `<field>_hidden` tells where there is a prediction.
        seed: of what is drawn.
        variants: other inputs for which every batch is predicted too; None for none.
        numbers: start -> the windows that are predicted, at least one; all of them if None.
        skip: starts that were predicted before.
        progress: called with the number of windows predicted so far, and of all.
    """
    numbers = numbers or {start: range(len(frame.tiling)) for start in starts}
    passes = {start: list(itertools.product(of, maskings)) for start, of in numbers.items()}
    done = sum(len(passes[start]) for start in starts[:skip])
    total = sum(map(len, passes.values()))
    size = min(batch_size, max(map(len, passes.values())))
    variants = variants or Variants()
    with ThreadPoolExecutor(THREADS, thread_name_prefix="atmorep_k-windows") as pool:
        for start in starts[skip:]:
            painted = {name: {} for name in ("", *variants.changes)}
            of_start = dataset, seed, frame, start, passes[start]
            for batch, samples in _samples(pool, *of_start, size):
                windows = [_Window(frame, dataset, int(start), n, not at_random) for n, _ in batch]
                for name, canvases in painted.items():
                    change = variants.of(name, frame.named(int(start)))
                    predictions = predict_batch(model, samples, size, change)
                    for row, (window, sample) in enumerate(zip(windows, samples, strict=True)):
                        values = {field: of_batch[row] for field, of_batch in predictions.items()}
                        window.paint(canvases, model.normalizers, sample, values)
                done += len(samples)
                if progress:
                    progress(done, total)
            yield variants.dataset(frame, int(start), painted, members=members, hidden=at_random)


def _samples(pool, dataset, seed: int, frame: Frame, start: int, passes, size: int):
    """Returns a generator of (number, masking) and samples of one batch after the other."""
    tiles = frame.tiling.tiles(int(start))

    def sample(one_pass):
        number, masking = one_pass
        return dataset.sample(tiles[number], masking, _rng(seed, frame, tiles[number]))

    return read_ahead(pool, sample, passes, size)


def _rng(seed: int, frame: Frame, tile: Position) -> np.random.Generator:
    # By date and place: other times, or a longer record, make no difference.
    hour = int(frame.times(tile.time)[0].astype("datetime64[m]").astype(np.int64))
    return np.random.default_rng([seed, hour % 2**63, tile.row, tile.column])


class _Window:
    """One predicted window: where it is, and how it is painted on the canvases."""

    def __init__(self, frame: Frame, dataset, start: int, number: int, blend: bool):
        self._frame, self._dataset = frame, dataset
        self._weight = frame.tiling.weight(number, blend)
        self._rows, self._columns = frame.tiling.place(number)
        self._times = frame.times(start)

    def paint(self, canvases: dict[str, Canvas], normalizers, sample, values) -> None:
        """Adds the physical values of all fields; makes the canvases at the first window.

        Args:
            canvases: field -> canvas.
            normalizers: field -> normaliser.
            sample: the window as the model saw it.
            values: field -> normalised members (level, masked, member, value).
        """
        for field in self._frame.fields:
            index, weight = sample.inputs[f"{field.name}/masked_index"], sample.weights[field.name]
            hidden, members = scatter(field, index, weight, values[field.name])
            _, *points = self._dataset.indices(sample.position, field.name)
            members = normalizers[field.name].denormalize(members, self._times, *points)
            if field.name not in canvases:
                canvases[field.name] = self._frame.canvas(field, len(members))
            canvases[field.name].add(hidden, members, self._weight, self._rows, self._columns)
