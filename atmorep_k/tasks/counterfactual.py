"""What a model would predict at another time or level than that of the data."""

from typing import TYPE_CHECKING, Any, Literal

from atmorep_k.tasks.question import (
    Blended,
    FieldsQuestion,
    function_of,
    option,
    question_dataclass,
)

if TYPE_CHECKING:
    from atmorep_k.inference.request import Answer, Task


@question_dataclass
class Counterfactual(Blended, FieldsQuestion):
    """Predict as if it were another time or level, and compare.

    TIME is the last visible hour. Each TIME is predicted twice: as it was, and with another year,
    day, hour or level given to the model in its place. Only the numbers that describe the tokens
    differ (`atmorep_k.batch.TOKEN_INFO`). Values, windows, masks and batches are the same, and so
    is the normalisation, that of the months of the data: an unchanged number gives a difference
    of exactly 0.

    Returns:
        As `forecast`. Beside each `<field>`, `<field>_counterfactual` is the prediction with the
        numbers changed; `<field>_difference` is the mean over the members of the change of each,
        and `<field>_difference_spread` its standard deviation.

    Raises:
        UserError: if something does not fit; checked before work begins.
    """

    name = "counterfactual"
    example = "runs/pretrain_field --store demo --time 2000-01-19T06 --day 200 --output summer.nc"

    year: int | None = option("Year to give the model.", default=None)
    day: int | None = option("Day of the year to give the model, from 1.", default=None)
    hour: int | None = option("Hour of the day (UTC) to give the model.", default=None)
    level: float | None = option("Level to give the model, for all levels.", default=None)
    task: Literal["forecast", "interpolate"] = option("What is predicted.", default="forecast")
    tokens: int | None = option("Time tokens to forecast.", default=None, default_text="1")
    time_token: int | None = option(
        "The interpolated time token, counted from 0.", default=None, default_text="the middle one"
    )

    def findings(self, answer: "Answer") -> Any:
        """Returns the counterfactual prediction beside the factual one."""
        from atmorep_k.tasks.counterfactual_report import compare

        return compare(answer.prediction, answer.model, answer.stores)

    def _task(self) -> "Task":
        from atmorep_k.inference.request import Task
        from atmorep_k.inference.starts import parse_times
        from atmorep_k.tasks.masked_parts import masking_for
        from atmorep_k.tasks.told import Told, variants

        told = Told(self.year, self.day, self.hour, self.level)
        for time in parse_times(self.times):
            told.time(time)
        return Task(
            "counterfactual",
            "Prediction with true and with changed information",
            masking_for(self.task, self.tokens, self.time_token),
            variants=variants(told, self.task),
            settings=told,
        )


counterfactual = function_of(Counterfactual)
