"""Which tokens the tasks mask."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from atmorep_k.components.maskings import Forecast, TemporalInterpolation
from atmorep_k.errors import UserError, unknown

if TYPE_CHECKING:
    pass


def last_tokens(
    tokens: int | None = None,
    hours: float | None = None,
    further: str = "; 'rollout' forecasts further",
) -> Callable[[Any], Any]:
    """Returns the function model -> masking of a forecast, see `forecast`.

    Args:
        tokens: see `forecast`.
        hours: see `forecast`.
        further: what the user is told who asks for more than a window has.

    Raises:
        UserError: where both are given, or the hours are not positive.
    """
    if tokens is not None and hours is not None:
        raise UserError("a forecast is given its tokens or its hours, not both.")
    if hours is not None and not hours > 0:
        raise UserError(f"the hours to forecast must be more than 0, not {hours:g}.")

    def task(model):
        most = min(f.num_tokens[0] for f in model.predicted) - 1
        if hours is not None:
            each = max(f.token_size[0] * f.window.step_hours for f in model.predicted)
            if hours > most * each:
                raise UserError(
                    f"this model forecasts at most {most * each:g} h, not {hours:g}{further}."
                )
            return Forecast(num_tokens=math.ceil(hours / each))
        wanted = 1 if tokens is None else tokens
        if not 1 <= wanted <= most:
            hint = further if wanted > most else ""
            raise UserError(f"tokens must be 1 to {most}, for this model, not {wanted}{hint}.")
        return Forecast(num_tokens=wanted)

    return task


def inner_token(time_token: int | None = None) -> Callable[[Any], Any]:
    """Returns the function model -> masking of an interpolation, see `interpolate`."""

    def task(model):
        last = min(f.num_tokens[0] for f in model.predicted) - 1
        if time_token is not None and not 1 <= time_token <= last:
            raise UserError(
                f"the time token must be 1 to {last}, for this model, not {time_token}."
            )
        hidden = None if time_token is None else (time_token,)
        return TemporalInterpolation(time_tokens=hidden)

    return task


def masking_for(task: str, tokens: int | None, time_token: int | None) -> Callable[[Any], Any]:
    """Returns the function model -> masking of a forecast or an interpolation.

    Args:
        task: `forecast` or `interpolate`.
        tokens: see `forecast`; 1 if None.
        time_token: see `interpolate`.

    Raises:
        UserError: where the task is none of these, or is given what belongs to the other.
    """
    if task not in ("forecast", "interpolate"):
        raise unknown("task", task, ("forecast", "interpolate"))
    if task == "forecast" and time_token is not None:
        raise UserError("a time token is chosen for 'interpolate', not for 'forecast'.")
    if task == "interpolate" and tokens is not None:
        raise UserError("a number of tokens is given for 'forecast', not for 'interpolate'.")
    if task == "forecast":
        return last_tokens(tokens)
    return inner_token(time_token)
