"""Time series at places as a table and a plot."""

from pathlib import Path

import numpy as np
import xarray as xr

from atmorep_k.console import new_table, print_table
from atmorep_k.data.stores.base import Store
from atmorep_k.earth.places import Place
from atmorep_k.figures.plots import COLOURS, new_figure, save
from atmorep_k.inference.hours import step
from atmorep_k.inference.output import plots_of
from atmorep_k.inference.place_windows import windows_around
from atmorep_k.inference.request import Answer
from atmorep_k.tasks.point_table import QUANTILES

# More places than that are in the file, not in the plot.
_MOST = 6


def report_points(answer: Answer, output: Path) -> list[Path]:
    """Prints a table to stderr and draws `<stem of output>_plots/point_<field>.png`.

    Args:
        answer: to a `Point`.
        output: where the prediction was written to.

    Returns:
        The paths of the prediction and the plots.
    """
    paths, plots = [output], plots_of(output)
    plots.mkdir(parents=True, exist_ok=True)
    table = new_table(
        "Last hour that is predicted",
        ("field", "place", "time"),
        ("mean", "5 - 95 %", "observed"),
    )
    with answer.prediction as found:
        for field in (f for f in answer.model.predicted if f.name in found):
            series = _series(found[field.name].isel(time=0).load(), field)
            truth = observed(answer.stores[field.name], field, series)
            _add_rows(table, series, truth)
            paths.append(save(_figure(series, truth), plots / f"point_{field.name}.png"))
    print_table(table, stderr=True)
    return paths


def _series(values: xr.DataArray, field) -> xr.DataArray:
    """Returns (member, hour, place) at the middle one of the levels, with the valid hours."""
    if "level" in values.dims:
        values = values.sel(level=field.middle_level)
    values = values.dropna("prediction_timedelta", how="all")
    hours = values["time"].values + values["prediction_timedelta"].values
    values = values.assign_coords(hour=("prediction_timedelta", hours))
    values = values.swap_dims(prediction_timedelta="hour")
    return values.transpose("number", "hour", "place")


def observed(store: Store, field, series: xr.DataArray) -> xr.DataArray:
    """Returns what a store has at the places of a series, (hour, place), NaN where it has nothing.

    Args:
        store: of the field.
        field: the `FieldSpec`.
        series: (number, hour, place) as predicted.

    Returns:
        The hours of the window, those predicted included.
    """
    last = series["hour"].values[-1]
    hours = last - np.arange(field.window.shape[0])[::-1] * step(field.window)
    where = (series[name].values for name in ("place", "latitude", "longitude"))
    windows = windows_around(store, field, [Place(*place) for place in zip(*where, strict=True)])
    rows, columns = (xr.Variable(("corner", "place"), index) for index in windows.in_store())
    array = store.dataset()[field.name]
    if "level" in array.dims:
        array = array.sel(level=float(series["level"]), method="nearest")
    known = array.sel(time=hours[np.isin(hours, store.time)])
    known = known.isel(latitude=rows, longitude=columns)
    values = (known * xr.Variable(("corner", "place"), windows.weights)).sum("corner", skipna=False)
    values = values.drop_vars(["latitude", "longitude", "level"], errors="ignore")
    return values.reindex(time=hours).rename(time="hour").transpose("hour", "place")


def _add_rows(table, series: xr.DataArray, truth: xr.DataArray) -> None:
    last = series.isel(hour=-1)
    time = str(np.datetime_as_string(last["hour"].values, "m"))
    for number, place in enumerate(last["place"].values):
        members = last.isel(place=number)
        low, high = (float(members.quantile(q)) for q in (QUANTILES[0], QUANTILES[-1]))
        known = float(truth.sel(hour=last["hour"]).isel(place=number))
        table.add_row(
            f"{series.name} ({series.attrs['units']})",
            str(place),
            time,
            f"{float(members.mean()):.4g}",
            f"{low:.4g} - {high:.4g}",
            "" if np.isnan(known) else f"{known:.4g}",
        )


def _figure(series: xr.DataArray, truth: xr.DataArray):
    """Returns a figure with a row for each place: members' quantiles and mean, and the truth."""
    number = min(_MOST, series.sizes["place"])
    figure = new_figure(8, 1 + 2.2 * number)
    all_axes = figure.subplots(number, 1, sharex=True, squeeze=False)[:, 0]
    low, quarter, _, three, high = (series.quantile(q, "number") for q in QUANTILES)
    bands = ((low, high, 0.2, "5 - 95 %"), (quarter, three, 0.4, "25 - 75 %"))
    for place, axes in enumerate(all_axes):
        hours, colour = series["hour"].values, COLOURS["ensemble"]
        one = {"place": place}
        for below, above, alpha, label in bands:
            low_edge, high_edge = below.isel(one), above.isel(one)
            axes.fill_between(
                hours, low_edge, high_edge, color=colour, alpha=alpha, linewidth=0, label=label
            )
        mean = series.isel(one).mean("number")
        axes.plot(hours, mean, color=colour, label="mean of the members")
        axes.plot(truth["hour"], truth.isel(one), "k.-", linewidth=0.8, label="store")
        axes.set_title(str(series["place"].values[place]), loc="left", fontsize="medium")
        axes.set_ylabel(series.attrs["units"])
    all_axes[0].legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    name = series.attrs.get("long_name", series.name)
    level = f", level {float(series['level']):g}" if "level" in series.coords else ""
    figure.suptitle(f"{name}{level}")
    figure.autofmt_xdate()
    return figure
