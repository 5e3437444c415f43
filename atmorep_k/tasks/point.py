"""Time series with their uncertainty at places."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from atmorep_k.earth.places import parse_places
from atmorep_k.files import write_whole
from atmorep_k.inference import output as prediction_files
from atmorep_k.inference import running
from atmorep_k.tasks import hidden_parts

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

ENDINGS = (".csv", ".nc", ".zarr")
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def point(
    model,
    store: str,
    times: Sequence,
    places,
    *,
    task: str = "forecast",
    tokens: int | None = None,
    time_token: int | None = None,
    output: str | Path | None = None,
    overwrite: bool = False,
    **options,
) -> "xr.Dataset":
    """Predicts at places: each in a window of its own, interpolated between its grid points.

    Args:
        model: as in `inference.forecast`.
        store: as in `inference.forecast`.
        times: as in the task.
        places: pairs (latitude, longitude) in degrees, a mapping of names to such pairs, or the
            path of a CSV file, see `places.parse_places`.
        task: `forecast` or `interpolate`.
        tokens: time tokens to forecast, 1 if None.
        time_token: see `inference.interpolate`.
        output: a `.nc` or `.zarr` as the task writes it, or a `.csv`, see `table`.
        overwrite: replace an existing output.
        **options: `stores`, `fields`, `batch_size`, `progress` and `finish`, see `inference.run`.

    Returns:
        For each field all members in physical units, with dimensions `time`,
        `prediction_timedelta`, `number`, `level`, `place`.

    Raises:
        UserError: where something does not fit, before work begins.
    """
    masking_for = hidden_parts.masking_for(task, tokens, time_token)
    places = parse_places(places)
    as_table = output is not None and Path(output).suffix == ".csv"
    if output is not None:
        prediction_files.check_output(Path(output), overwrite, ENDINGS)
    options |= {"places": places, "output": None if as_table else output, "overwrite": overwrite}
    found = running.run(task, model, store, times, masking_for, **options)
    if as_table:
        rows = table(found)
        write_whole(Path(output), lambda path: rows.to_csv(path, index=False))
    return found


def table(found: "xr.Dataset") -> "pd.DataFrame":
    """Returns a row for each field, place, level and hour of a prediction by `point`.

    Columns: field, units, place, latitude, longitude, level (where a field has levels), time,
    lead_hours, valid_time; mean and spread (ddof = 1) of the members, and quantiles (q05...q95).
    """
    import pandas as pd

    return pd.concat([_rows(found[name]) for name in found.data_vars], ignore_index=True)


def _rows(values: "xr.DataArray") -> "pd.DataFrame":
    import xarray as xr

    from atmorep_k.inference.members import spread

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
