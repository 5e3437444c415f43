"""Which tokens the tasks mask: functions of a model, whose windows say what is possible."""

import math

from atmorep_k.components.maskings import Forecast, RandomTokens, TemporalInterpolation
from atmorep_k.errors import UserError, unknown
from atmorep_k.inference.request import MaskingFor
from atmorep_k.protocols import Model


def last_tokens(
    tokens: int | None = None,
    hours: float | None = None,
    further: str = "; 'rollout' forecasts further",
) -> MaskingFor:
    """Returns the function model -> masking of a forecast, see `forecast`.

    Args:
        tokens: see `forecast`.
        hours: see `forecast`.
        further: what to tell a user who asks for more than a window has.

    Raises:
        UserError: if both are given, or the hours are not positive.
    """
    if tokens is not None and hours is not None:
        raise UserError("give a forecast either tokens or hours, not both.")
    if hours is not None and not hours > 0:
        raise UserError(f"the hours to forecast must be more than 0, not {hours:g}.")

    def masking(model: Model):
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

    return masking


def inner_token(time_token: int | None = None) -> MaskingFor:
    """Returns the function model -> masking of an interpolation, see `interpolate`."""

    def masking(model: Model):
        last = min(f.num_tokens[0] for f in model.predicted) - 1
        if time_token is not None and not 1 <= time_token <= last:
            raise UserError(
                f"the time token must be 1 to {last}, for this model, not {time_token}."
            )
        masked = None if time_token is None else (time_token,)
        return TemporalInterpolation(time_tokens=masked)

    return masking


def masking_for(task: str, tokens: int | None, time_token: int | None) -> MaskingFor:
    """Returns the function model -> masking of a forecast or an interpolation.

    Args:
        task: `forecast` or `interpolate`.
        tokens: see `forecast`; 1 if None.
        time_token: see `interpolate`.

    Raises:
        UserError: if the task is neither of these, or gets an argument of the other.
    """
    if task not in ("forecast", "interpolate"):
        raise unknown("task", task, ("forecast", "interpolate"))
    if task == "forecast" and time_token is not None:
        raise UserError("time_token belongs to the task 'interpolate', not to 'forecast'.")
    if task == "interpolate" and tokens is not None:
        raise UserError("tokens belongs to the task 'forecast', not to 'interpolate'.")
    if task == "forecast":
        return last_tokens(tokens)
    return inner_token(time_token)


def random_tokens(ratio: float, seed: int) -> MaskingFor:
    """Returns the function model -> masking of a reconstruction.

    Args:
        ratio: share of tokens to mask.
        seed: seed of the choice.

    Raises:
        UserError: if the ratio or the seed is out of its range.
    """
    if not 0 < ratio < 1:
        raise UserError(f"the ratio must be greater than 0 and less than 1, not {ratio:g}.")
    if seed < 0:
        raise UserError(f"the seed must be 0 or greater, not {seed}.")

    def masking(model: Model):
        found = RandomTokens(ratio=(ratio, ratio), hidden=1.0, noised=0.0, coarsened=0.0)
        fewest = min(f.tokens_per_level for f in model.predicted)
        if found.num_slots((fewest,)) >= fewest:
            raise UserError(f"a ratio of {ratio:g} masks all {fewest} tokens of a window.")
        return found

    return masking
