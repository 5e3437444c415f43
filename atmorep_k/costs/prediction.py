"""What a prediction would take: windows, operations, rates, memory, without making it."""

import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from atmorep_k.backend.matrix_product import FLOPS, SIDE, matrix_product
from atmorep_k.components.losses import KernelCRPS
from atmorep_k.console import duration, size
from atmorep_k.costs.tracing.step import cost
from atmorep_k.inference.batches import predict_batch
from atmorep_k.inference.plan import Prepared
from atmorep_k.inference.predicting import THREADS
from atmorep_k.model import AtmoRep
from atmorep_k.model.declared import declared
from atmorep_k.tasks import Forecast

_REPEATS = 3


def estimate_forecast(question: Forecast) -> Iterator[str]:
    """Yields lines on what a forecast would take.

    Raises:
        UserError: as the forecast would.
    """
    yield from what_it_takes(question.plan())


def what_it_takes(plan: Prepared) -> Iterator[str]:
    """Yields lines on a prediction, as they are known: counted ones first, then measured ones.

    One batch is read and predicted, a few times; nothing is written.

    Args:
        plan: what would be predicted.
    """
    windows, times = len(plan.frame.tiling), len(plan.starts)
    rows = min(plan.batch_size, windows)
    flops = _flops(plan, rows)
    yield f"windows        {windows} for each of {times} times, {rows} at once"
    yield f"operations     {size(flops * windows / rows, 'FLOP')} a time in matrix products"
    yield f"memory         {size(_canvas_bytes(plan))} to assemble one time"
    reading, samples = _reading(plan, rows)
    yield f"loader         {rows / reading:.3g} windows/s"
    seconds, product = _seconds(plan, samples)
    rate = FLOPS / product
    yield (
        f"network        {rows / seconds:.3g} windows/s, {size(flops / seconds, 'FLOP/s')}: "
        f"{flops / seconds / rate:.2f} of the {size(rate, 'FLOP/s')} of a {SIDE} x {SIDE} product"
    )
    # Both happen at the same time, batch by batch, see `reading_ahead`.
    total = max(seconds, reading) * -(-windows // rows)
    slower = "loader" if reading > seconds else "network"
    yield f"estimate       {duration(total)} a time, {duration(total * times)} in all ({slower})"


def _flops(plan: Prepared, rows: int) -> float:
    """Returns the operations of a forward pass: a third of a training step's."""
    assert isinstance(plan.model, AtmoRep)  # only its layers can be counted
    return cost(declared(plan.model), KernelCRPS(), plan.maskings[0], rows).flops / 3


def _canvas_bytes(plan: Prepared) -> float:
    """Returns 8 bytes for each member, hour, level and point, see `inference.canvas.Canvas`."""
    assert isinstance(plan.model, AtmoRep)
    points = np.prod(plan.frame.tiling.shape)
    members = {f.name: plan.model.part("tail", f.name).num_members for f in plan.frame.fields}
    hours = len(plan.frame.hours.shown)
    return sum(8 * members[f.name] * hours * len(f.levels) * points for f in plan.frame.fields)


def _reading(plan: Prepared, rows: int):
    """Return the seconds in which a batch is read when others have been, and its samples."""
    tiles = plan.frame.tiling.tiles(int(plan.starts[0]))
    rng = np.random.default_rng(0)

    def read(number: int):
        return plan.dataset.sample(tiles[number], plan.maskings[0], rng)

    with ThreadPoolExecutor(THREADS, thread_name_prefix="atmorep_k-windows") as pool:
        # The last windows: what the first call opens is not their doing.
        read(0)
        numbers = range(len(tiles) - rows, len(tiles))
        return _timed(lambda: list(pool.map(read, numbers)))


def _seconds(plan: Prepared, samples) -> tuple[float, float]:
    """Return the seconds of a predicted batch, and of a product of two matrices, in turns."""
    product = matrix_product()
    batches: list[float] = []
    products: list[float] = []
    predict_batch(plan.model, samples, len(samples))
    product()
    for _ in range(_REPEATS):
        batches.append(_timed(lambda: predict_batch(plan.model, samples, len(samples)))[0])
        products.append(_timed(product)[0])
    return statistics.median(batches), statistics.median(products)


def _timed(function: Callable):
    begun = time.perf_counter()
    result = function()
    return time.perf_counter() - begun, result
