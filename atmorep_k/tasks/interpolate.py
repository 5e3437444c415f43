"""Interpolation in time: an inner token is masked and predicted."""

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
class Interpolate(Blended, FieldsQuestion):
    """Fill masked hours from those before and after.

    TIME is the last visible hour before the masked ones.

    Returns:
        As `forecast`: exactly the masked hours.

    Raises:
        UserError: if something does not fit; checked before work begins.
    """

    name = "interpolate"
    heading = "Interpolation in time"
    example = "runs/pretrain_field --store demo --time 2000-01-19T06 --output between.nc"

    time_token: int | None = option(
        "The masked time token, counted from 0.", default=None, default_text="the middle one"
    )

    def _task(self) -> "Task":
        from atmorep_k.inference.request import Task
        from atmorep_k.tasks.masked_parts import inner_token

        return Task("interpolate", "Interpolation in time", inner_token(self.time_token))


interpolate = function_of(Interpolate)
