"""A prediction made for somebody who looks on: progress, maps, a table of scores."""

from collections.abc import Callable, Sequence
from pathlib import Path

from atmorep_k.progress import bar


def predict_and_report(
    predict: Callable, model, store: str, times: Sequence, *, output: Path, region=(), **options
) -> list[Path]:
    """Predicts, draws maps into `<stem of output>_plots` and prints scores to stderr.

    Args:
        predict: `forecast`, `interpolate` or `reconstruct` of `atmorep_k.inference`.
        model: a model, or its path.
        store: path of a store, or `"demo"`.
        times: the times that name the predictions.
        output: where the prediction is written to.
        region: (south, north, west, east); the whole grid where it is empty.
        **options: those of `predict`.

    Returns:
        The paths of the prediction and the maps.

    Raises:
        UserError: where something does not fit, before work begins.
    """
    from rich.console import Console

    from atmorep_k.verification import verify

    made = []
    with bar("predicting", "windows/s") as shown:
        options |= {"region": region or None, "progress": shown.advance}
        predict(model, store, times, output=output, finish=lambda *all: made.extend(all), **options)
    with made[0] as prediction:
        found = verify(prediction, *made[1:])
    console = Console(stderr=True)
    if found.scores:
        # Numbers of a table that is too wide for the screen would be cut off.
        console.print(found.table(), width=max(console.width, 96), crop=False)
    else:
        console.print("no scores: the store does not reach to the hours that were predicted.")
    output = Path(output)
    return [output, *found.draw(output.with_name(f"{output.stem}_plots"))]
