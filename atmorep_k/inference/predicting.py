"""Windows to labelled predictions: forecasts, interpolations in time, reconstructions."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from atmorep_k.fields import Position
from atmorep_k.inference.batches import predict_batch, scatter
from atmorep_k.inference.canvas import Canvas
from atmorep_k.inference.frame import Frame
from atmorep_k.inference.reading_ahead import THREADS, read_ahead
from atmorep_k.inference.variants import Variants

if TYPE_CHECKING:
    import xarray as xr


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
