"""Scores of a written prediction against a store."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atmorep_k.tasks.question import (
    Question,
    function_of,
    names,
    option,
    question_dataclass,
    store_option,
)

if TYPE_CHECKING:
    import xarray as xr


@question_dataclass
class Evaluate(Question):
    """Score a prediction against a store, beside baselines.

    PREDICTION is a .zarr or .nc file. A point counts, by its area, where the truth, the prediction
    and all baselines have a value. One reference time of one field is in memory at a time, and
    some 30 + 4 M sums for each time, model, level, lead time and region, for M members.

    Returns:
        For each field `<field>` (score, model, level, prediction_timedelta, region); where there
        are times enough, the ends of the 95 % interval, `<field>_low` and `<field>_high`;
        `<field>_threshold` (event, level); of an ensemble `<field>_ranks` (level,
        prediction_timedelta, region, rank), the share of points; of a whole globe `<field>_spectra`
        (of, level, prediction_timedelta, wavenumber). A field at the surface has no `level`.

    Raises:
        UserError: if something does not fit (checked before work begins), or no point counts.
    """

    name = "evaluate"
    example = "forecast.zarr --truth demo --region 20 80 -30 60"

    prediction: Any = option(
        "Prediction to score; in Python its path or a dataset with `time`, "
        "`prediction_timedelta`, `latitude`, `longitude` and, where they apply, `number` and "
        "`level`.",
        kw_only=False,
        flag="",
        metavar="PREDICTION",
        of=str,
    )
    truth: Any = store_option("--truth", kw_only=False, of=str)
    fields: str | Sequence[str] | None = option(
        "Fields to score.", default=None, metavar="A,B", of=str, default_text="all"
    )
    regions: Sequence[Sequence[float]] = option(
        "South, north, west and east in degrees of a region to score separately as well; may be "
        "repeated.",
        default=(),
        flag="--region",
        metavar="S N W E",
        count=4,
        repeat=True,
        of=float,
    )
    climatology: Sequence[str] | None = option(
        "First and last day, month, year or time that the climatology averages over.",
        default=None,
        metavar="FIRST LAST",
        count=2,
        default_text="all of the store",
    )
    block: int | None = option(
        "Number of consecutive times drawn together for intervals.",
        default=None,
        default_text="cube root of their number",
    )
    output: str | Path | None = option(
        "Directory to write.", default=None, default_text="PREDICTION's name + _scores"
    )

    def __post_init__(self):
        object.__setattr__(self, "fields", names(self.fields))

    def ask(self) -> "xr.Dataset":
        """Returns the scores, and writes them to `output` if there is one."""
        from atmorep_k.evaluation.predictions.evaluate import evaluate as score
        from atmorep_k.evaluation.predictions.report import check_directory, write_scores

        if self.output is not None:
            check_directory(Path(self.output), self.overwrite)
        found = score(
            self.prediction,
            self.truth,
            fields=self.fields,
            regions=self.regions,
            climatology=self.climatology,
            block=self.block,
            progress=self.progress,
        )
        if self.output is not None:
            write_scores(found, Path(self.output))
        return found

    def present(self) -> list[Path]:
        """Scores, writes, draws, and prints a table to stderr."""
        import click

        from atmorep_k.console import bar, print_table
        from atmorep_k.evaluation.predictions.tables import remarks, score_table

        path = Path(self.prediction)
        output = Path(self.output or path.with_name(f"{path.stem}_scores"))
        with bar("scoring", "times/s") as shown:
            asked = dataclasses.replace(self, output=output, progress=shown.advance)
            found = asked.ask()
        print_table(score_table(found), stderr=True)
        for sentence in remarks(found):
            click.echo(sentence, err=True)
        return [output]


evaluate = function_of(Evaluate)
