"""From windows to labelled predictions, one time after the other."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from atmorep_k.fields import Position
from atmorep_k.inference.batches import predict_batch, scatter
from atmorep_k.inference.canvas import Canvas
from atmorep_k.inference.frame import Frame
from atmorep_k.inference.plan import Prepared

if TYPE_CHECKING:
    import xarray as xr

# Threads that read windows while the model predicts.
THREADS = 2


def predict_windows(
    plan: Prepared,
    *,
    members: bool = True,
    skip: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator["xr.Dataset"]:
    """Yields the labelled prediction of each start: windows are predicted and put together.

    Memory holds one start at a time: 8 bytes for each member, masked hour, level and point of the
    predicted fields, and for each variant as much again. Windows are always added in the same
    order, so that the result does not depend on the size of a batch. The last batch is filled up,
    so that shapes are the same throughout. Where a masking draws what it masks, each point counts
    in one window only, and `<field>_hidden` tells where there is a prediction.

    Args:
        plan: what is predicted.
        members: give all members; else only their mean and spread.
        skip: starts that were predicted before.
        progress: called with the number of windows predicted so far, and of all.
    """
    frame, at_random, variants = plan.frame, plan.task.at_random, plan.task.variants
    every = range(len(frame.tiling))
    passes = {
        start: list(
            itertools.product(plan.numbers[start] if plan.numbers else every, plan.maskings)
        )
        for start in plan.starts
    }
    done = sum(len(passes[start]) for start in plan.starts[:skip])
    total = sum(map(len, passes.values()))
    size = min(plan.batch_size, max(map(len, passes.values())))
    with ThreadPoolExecutor(THREADS, thread_name_prefix="atmorep_k-windows") as pool:
        for start in plan.starts[skip:]:
            painted: dict[str, dict[str, Canvas]] = {name: {} for name in ("", *variants.changes)}
            for batch, samples in _samples(pool, plan, start, passes[start], size):
                windows = [_Window(plan, int(start), number) for number, _ in batch]
                for name, canvases in painted.items():
                    change = variants.of(name, frame.named(int(start)))
                    predictions = predict_batch(plan.model, samples, size, change)
                    for row, (window, sample) in enumerate(zip(windows, samples, strict=True)):
                        values = {field: of_batch[row] for field, of_batch in predictions.items()}
                        window.paint(canvases, sample, values)
                done += len(samples)
                if progress:
                    progress(done, total)
            yield variants.dataset(frame, int(start), painted, members=members, hidden=at_random)


def _samples(pool: Executor, plan: Prepared, start: int, passes: Sequence, size: int) -> Iterator:
    """Returns a generator of (number, masking) and samples of one batch after the other."""
    tiles = plan.frame.tiling.tiles(int(start))

    def sample(one_pass):
        number, masking = one_pass
        rng = _rng(plan.task.seed, plan.frame, tiles[number])
        return plan.dataset.sample(tiles[number], masking, rng)

    return read_ahead(pool, sample, passes, size)


def _rng(seed: int, frame: Frame, tile: Position) -> np.random.Generator:
    # By date and place: other times, or a longer record, make no difference.
    hour = int(frame.times(tile.time)[0].astype("datetime64[m]").astype(np.int64))
    return np.random.default_rng([seed, hour % 2**63, tile.row, tile.column])


def read_ahead(
    pool: Executor, read: Callable[[Any], Any], items: Sequence[Any], size: int
) -> Iterator[tuple[Sequence, list]]:
    """Yields items and what `read` makes of them, one batch after the other.

    The next batch is read while the one before it is used.

    Args:
        pool: where it is read.
        read: function of an item.
        items: what is read.
        size: items of a batch; the last one may have fewer.
    """
    batches = [items[n : n + size] for n in range(0, len(items), size)]
    waiting = [pool.submit(read, item) for item in batches[0]]
    for batch, after in itertools.zip_longest(batches, batches[1:], fillvalue=()):
        ready, waiting = waiting, [pool.submit(read, item) for item in after]
        yield batch, [future.result() for future in ready]


class _Window:
    """One predicted window: where it is, and how it is painted on the canvases."""

    def __init__(self, plan: Prepared, start: int, number: int):
        self._frame, self._dataset = plan.frame, plan.dataset
        self._normalizers = plan.model.normalizers
        # Blending needs a prediction at every point, which random masks do not give.
        self._weight = plan.frame.tiling.weight(number, blend=not plan.task.at_random)
        self._rows, self._columns = plan.frame.tiling.place(number)
        self._times = plan.frame.times(start)

    def paint(self, canvases: dict[str, Canvas], sample, values: dict[str, np.ndarray]) -> None:
        """Adds the physical values of all fields; makes the canvases at the first window.

        Args:
            canvases: field -> canvas.
            sample: the window as the model saw it.
            values: field -> normalised members (level, masked, member, value).
        """
        for field in self._frame.fields:
            index, weight = sample.inputs[f"{field.name}/masked_index"], sample.weights[field.name]
            masked, members = scatter(field, index, weight, values[field.name])
            _, rows, columns = self._dataset.indices(sample.position, field.name)
            normalizer = self._normalizers[field.name]
            members = normalizer.denormalize(members, self._times, rows, columns)
            if field.name not in canvases:
                canvases[field.name] = self._frame.canvas(field, len(members))
            canvases[field.name].add(masked, members, self._weight, self._rows, self._columns)
