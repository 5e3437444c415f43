"""Interpolation in time: an inner token is masked and predicted."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xarray as xr

from atmorep_k.inference.running import run
from atmorep_k.tasks.hidden_parts import inner_token


def interpolate(
    model, store: str, times: Sequence, *, time_token: int | None = None, **options
) -> "xr.Dataset":
    """Fills hidden hours inside a window, from the hours before and after.

    Args:
        model: as in `forecast`.
        store: as in `forecast`.
        times: the last visible hours before what is hidden.
        time_token: the hidden time token, counted from 0; the middle one if None.
        **options: see `run`.

    Returns:
        See `run`; exactly the hidden hours.

    Raises:
        UserError: where something does not fit, before work begins.
    """
    return run("interpolate", model, store, times, inner_token(time_token), **options)
