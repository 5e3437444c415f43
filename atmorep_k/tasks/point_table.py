"""Predictions at places as a table: a row for each field, place, level and hour."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from atmorep_k.files import write_whole
from atmorep_k.inference.canvas import spread

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def write_table(found: "xr.Dataset", path: Path) -> None:
    """Writes a prediction by `point` as CSV, whole or not at all."""
    rows = point_table(found)
    write_whole(path, lambda partial: rows.to_csv(partial, index=False))


def point_table(found: "xr.Dataset") -> "pd.DataFrame":
    """Returns a row for each field, place, level and hour of a prediction by `point`.

    Columns: field, units, place, latitude, longitude, level (where a field has levels), time,
    lead_hours, valid_time; mean and spread (ddof = 1) of the members, and quantiles (q05...q95).
    """
    import pandas as pd

    return pd.concat([_rows(found[name]) for name in found.data_vars], ignore_index=True)


def _rows(values: "xr.DataArray") -> "pd.DataFrame":
    import xarray as xr

    axis = values.get_axis_num("number")
    rest = [dim for dim in values.dims if dim != "number"]
    columns = {"mean": values.mean("number"), "spread": (rest, spread(values.values, axis))}
    for quantile in QUANTILES:
        columns[f"q{100 * quantile:02.0f}"] = values.quantile(quantile, "number").drop_vars(
            "quantile"
        )
    rows = xr.Dataset(columns, values.drop_vars("number").coords).to_dataframe().reset_index()
    rows.insert(0, "field", values.name)
    rows.insert(1, "units", values.attrs["units"])
    rows["lead_hours"] = rows["prediction_timedelta"] / np.timedelta64(1, "h")
    rows["valid_time"] = rows["time"] + rows.pop("prediction_timedelta")
    first = ["field", "units", "place", "latitude", "longitude", "level", "time", "lead_hours"]
    first = [name for name in (*first, "valid_time") if name in rows]
    rows = rows[[*first, *columns]]
    return rows[rows["mean"].notna()]
