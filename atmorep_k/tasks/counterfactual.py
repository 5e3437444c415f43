"""What a model would predict at another time or level than that of the data."""

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from atmorep_k.inference import running, starts
from atmorep_k.inference.members import mean_and_spread
from atmorep_k.inference.variants import Variants
from atmorep_k.tasks import hidden_parts
from atmorep_k.tasks.told import Told

if TYPE_CHECKING:
    import xarray as xr


def counterfactual(
    model,
    store: str,
    times: Sequence,
    *,
    year: int | None = None,
    day: int | None = None,
    hour: int | None = None,
    level: float | None = None,
    task: Literal["forecast", "interpolate"] = "forecast",
    tokens: int | None = None,
    time_token: int | None = None,
    **options,
) -> "xr.Dataset":
    """Predicts twice: as it was, and with another year, day, hour or level told to the model.

    Only the numbers that describe the tokens differ (`atmorep_k.batch.TOKEN_INFO`). Values,
    windows, what is hidden and the batches are the same, and so is the normalisation, that of the
    months of the data: an unchanged number gives a difference of exactly 0.

    Args:
        model: as in `inference.forecast`.
        store: as in `inference.forecast`.
        times: the last visible hours; what is told is told in place of them, see `Told`.
        year: see `Told`.
        day: see `Told`.
        hour: see `Told`.
        level: see `Told`.
        task: what is predicted.
        tokens: time tokens to forecast, 1 if None.
        time_token: see `inference.interpolate`.
        **options: see `inference.run`.

    Returns:
        As `inference.run`, and beside each `<field>` what is predicted when told otherwise,
        `<field>_counterfactual`, and the mean over the members of the change of each,
        `<field>_difference`, with its standard deviation `<field>_difference_spread`.

    Raises:
        UserError: where something does not fit, before work begins.
    """
    told = Told(year, day, hour, level)
    for time in starts.parse_times(times):
        told.time(time)
    masking_for = hidden_parts.masking_for(task, tokens, time_token)
    combine = functools.partial(_combined, told, task)
    options |= {"variants": Variants({"counterfactual": told.change}, combine), "settings": told}
    return running.run("counterfactual", model, store, times, masking_for, **options)


def _combined(told: Told, task: str, found: dict[str, "xr.Dataset"], members: bool) -> "xr.Dataset":
    """Returns the factual and the counterfactual prediction of one time, and their difference."""
    factual, other = found[""], found["counterfactual"]
    variables = {}
    for name, one in factual.data_vars.items():
        one, two = one.variable, other[name].variable
        title = one.attrs["long_name"]
        two.attrs["long_name"] = f"{title}, told {told}"
        difference = two - one
        # Without a standard name: it is none of the quantity itself.
        difference.attrs = {"units": one.attrs["units"], "long_name": f"change of {title}"}
        for label, values in {name: one, f"{name}_counterfactual": two}.items():
            variables |= {label: values} if members else mean_and_spread(label, values)
        variables |= mean_and_spread(f"{name}_difference", difference)
    coordinates = {n: c.variable for n, c in factual.coords.items() if members or n != "number"}
    attributes = {**factual.attrs, "predicted": task, "told": str(told)}
    return type(factual)(variables, coordinates, attributes)
