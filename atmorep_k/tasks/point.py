"""Time series with their uncertainty at places."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from atmorep_k.errors import UserError
from atmorep_k.tasks.question import (
    TimesQuestion,
    function_of,
    names,
    option,
    question_dataclass,
    store_pairs,
)

if TYPE_CHECKING:
    import xarray as xr

    from atmorep_k.inference.request import Answer

ENDINGS = (".csv", ".nc", ".zarr")


@question_dataclass
class Point(TimesQuestion):
    """Predict time series with their uncertainty at places.

    TIME means what it means in the command of the same name as the task. Each place is predicted
    in the middle of a window of its own, and interpolated between its grid points. A CSV file has
    mean, spread and quantiles of the members (see `point_table.table`); the other files have all
    members.

    Returns:
        For each field all members in physical units, with dimensions `(time,
        prediction_timedelta, number, level, place)`.

    Raises:
        UserError: if something does not fit; checked before work begins.
    """

    name = "point"
    titles: ClassVar[dict[str, str]] = {
        "forecast": "Forecast",
        "interpolate": "Interpolation in time",
    }
    example = (
        "runs/pretrain_field --store demo --time 2000-01-19T06 --at 52.5 13.4 --output berlin.csv"
    )

    places: (
        str
        | Path
        | Mapping[str, Sequence[float]]
        | Sequence[Sequence[float] | Mapping[str, float | str]]
        | None
    ) = option(
        "Latitude and longitude in degrees; may be repeated. In Python pairs, a mapping of names "
        "to pairs, or the path of a CSV file.",
        default=None,
        kw_only=False,
        flag="--at",
        metavar="LAT LON",
        count=2,
        repeat=True,
        of=float,
    )
    file: str | Path | None = option(
        "CSV file with columns latitude, longitude and optionally name, in place of places.",
        default=None,
        flag="--places",
        metavar="FILE",
        of=str,
    )
    fields: str | Sequence[str] | None = option(
        "Predicted fields to write, all on one grid.",
        default=None,
        metavar="A,B",
        of=str,
        default_text="all",
    )
    task: Literal["forecast", "interpolate"] = option("What is predicted.", default="forecast")
    tokens: int | None = option("Time tokens to forecast.", default=None, default_text="1")
    time_token: int | None = option(
        "The interpolated time token, counted from 0.", default=None, default_text="the middle one"
    )
    output: str | Path | None = option(
        "FILE.csv, FILE.nc or FILE.zarr; plots go to FILE_plots/.", default=None, required=True
    )

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "fields", names(self.fields))

    def answer(self) -> "Answer":
        """Returns the prediction, the model and the stores."""
        from atmorep_k.earth.places import parse_places
        from atmorep_k.inference.output import check_prediction_output
        from atmorep_k.inference.request import Domain, Output, Task
        from atmorep_k.inference.running import run_task
        from atmorep_k.tasks.masked_parts import masking_for
        from atmorep_k.tasks.point_table import write_table

        masking = masking_for(self.task, self.tokens, self.time_token)
        if (self.places is None) == (self.file is None):
            raise UserError(
                "point: give either --at LAT LON or --places FILE (in Python and gin files places "
                "or file)."
            )
        places = parse_places(self.places if self.file is None else self.file)
        if self.output is not None:
            check_prediction_output(Path(self.output), self.overwrite, ENDINGS)
        as_table = self.output is not None and Path(self.output).suffix == ".csv"
        answer = run_task(
            self.model,
            self.times,
            Task(self.task, self.titles[self.task], masking),
            Domain(self.store, store_pairs(self.stores), self.fields, places=places),
            Output(None if as_table else self.output, self.overwrite),
            batch_size=self.batch_size,
            progress=self.progress,
        )
        if as_table:
            write_table(answer.prediction, self.output_path)
        return answer

    def ask(self) -> "xr.Dataset":
        """Returns the prediction."""
        return self.answer().prediction

    def present(self) -> list[Path]:
        """Asks, prints a table to stderr and draws `<stem of output>_plots/point_<field>.png`."""
        from atmorep_k.tasks.point_report import report_points
        from atmorep_k.tasks.presenting import watched

        return report_points(watched(self, "predicting", "windows"), self.output_path)


point = function_of(Point)
