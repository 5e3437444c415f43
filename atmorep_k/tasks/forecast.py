"""Forecast: the last tokens of a window are masked and predicted."""

from typing import TYPE_CHECKING

from atmorep_k.tasks.question import (
    Blended,
    FieldsQuestion,
    function_of,
    option,
    question_dataclass,
)

if TYPE_CHECKING:
    from atmorep_k.inference.request import Task


@question_dataclass
class Forecast(Blended, FieldsQuestion):
    """Forecast the hours after given times with a saved model.

    TIME is the last hour that the model sees. The result holds exactly the masked hours: `time`
    is that last hour, and `prediction_timedelta` counts from it. Hours after the end of the store
    can be forecast.

    Returns:
        For each written field `<field>` in physical units, with dimensions `(time,
        prediction_timedelta, number, level, latitude, longitude)`; without members `<field>` is
        their mean and `<field>_spread` their standard deviation. Read from `output` as it is used,
        where that is given.

    Raises:
        UserError: if something does not fit; checked before work begins.
    """

    name = "forecast"
    heading = "Forecast"
    example = (
        "runs/pretrain_field --store demo --time 2000-01-19T06 --overlap 1 1 --output forecast.zarr"
    )
    dry_run = True

    tokens: int | None = option("Time tokens to forecast.", default=None, default_text="1")
    hours: float | None = option("How many hours to forecast, in place of tokens.", default=None)

    def _task(self) -> "Task":
        from atmorep_k.inference.request import Task
        from atmorep_k.tasks.masked_parts import last_tokens

        return Task("forecast", "Forecast", last_tokens(self.tokens, self.hours))


forecast = function_of(Forecast)
