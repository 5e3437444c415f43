"""Forecast: the last tokens of a window are masked and predicted."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xarray as xr

from atmorep_k.inference.running import run
from atmorep_k.tasks.hidden_parts import last_tokens


def forecast(
    model,
    store: str,
    times: Sequence,
    *,
    tokens: int | None = None,
    hours: float | None = None,
    **options,
) -> "xr.Dataset":
    """Forecasts the hours after each time, from the hours up to it.

    The result holds exactly the hidden hours: `time` is the last one that the model saw,
    `prediction_timedelta` counts from it. Hours after the end of the record can be forecast.

    Args:
        model: a model, or the path of a saved one or of its run.
        store: path of a store, or `"demo"`.
        times: the last visible hours, as text or datetime64.
        tokens: time tokens to forecast, at least one less than a window has; 1 if None.
        hours: how far to forecast, in place of the tokens: as many as it takes.
        **options: see `run`.

    Returns:
        See `run`.

    Raises:
        UserError: where something does not fit, before work begins.
    """
    return run("forecast", model, store, times, last_tokens(tokens, hours), **options)
