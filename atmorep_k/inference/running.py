"""The one way from a model and a store to a labelled prediction."""

from collections.abc import Callable, Sequence
from pathlib import Path

from atmorep_k.inference.ingredients import partial_of
from atmorep_k.inference.output import collect
from atmorep_k.inference.plan import plan_prediction
from atmorep_k.inference.predicting import predict_windows
from atmorep_k.inference.request import Answer, Domain, Output, Task
from atmorep_k.protocols import Model


def run_task(
    model: Model | str | Path,
    times: Sequence,
    task: Task,
    domain: Domain,
    output: Output,
    *,
    batch_size: int = 16,
    progress: Callable[[int, int], None] | None = None,
) -> Answer:
    """Predicts what a masking masks of the windows that cover a store or a region of it.

    Args:
        model: a model, or the path of a saved one or of its run.
        times: the times that name the predictions.
        task: what is done.
        domain: where, and which fields.
        output: where the result goes.
        batch_size: windows predicted at once.
        progress: called with the number of windows predicted so far, and of all.

    Raises:
        UserError: if something does not fit; checked before work begins.
    """
    plan = plan_prediction(model, times, task, domain, output, batch_size)
    partial = partial_of(
        plan,
        output,
        members=output.members,
        batch_size=batch_size,
        seed=task.seed,
        overlap=domain.overlap,
        others=task.settings,
    )
    done = partial.done if partial else 0
    pieces = predict_windows(plan, members=output.members, skip=done, progress=progress)
    result = collect(pieces, plan.frame.encoding(), output.path, partial)
    return Answer(result, plan.model, plan.frame.stores)
