"""A prediction made for somebody who looks on: progress, maps, a table of scores."""

from collections.abc import Callable, Sequence
from pathlib import Path

from atmorep_k.console import bar, print_table
from atmorep_k.inference.output import plots_of


def predict_and_report(
    predict: Callable,
    model,
    store: str,
    times: Sequence,
    *,
    output: Path,
    region=(),
    unit: str = "windows",
    report: Callable | None = None,
    **options,
) -> list[Path]:
    """Predicts, draws maps into `<stem of output>_plots` and prints scores to stderr.

    Args:
        predict: `atmorep_k.inference.forecast`, or another function of its kind.
        model: a model, or its path.
        store: path of a store, or `"demo"`.
        times: the times that name the predictions.
        output: where the prediction is written to.
        region: (south, north, west, east); the whole grid where it is empty.
        unit: what `predict` counts while it works.
        report: function (prediction, model, stores of its fields) -> what is printed and drawn:
            a `table()`, or a `remark` in its place, and `draw(directory)`; `verify` if None.
        **options: those of `predict`.

    Returns:
        The paths of the prediction and the maps.

    Raises:
        UserError: where something does not fit, before work begins.
    """
    import click

    from atmorep_k.evaluation.verification import verify

    made = []
    with bar("predicting", f"{unit}/s") as shown:
        options |= {"region": region or None, "progress": shown.advance}
        predict(model, store, times, output=output, finish=lambda *all: made.extend(all), **options)
    with made[0] as prediction:
        found = (report or verify)(prediction, *made[1:])
    if found.remark:
        click.echo(found.remark, err=True)
    else:
        print_table(found.table(), stderr=True)
    output = Path(output)
    return [output, *found.draw(plots_of(output))]
