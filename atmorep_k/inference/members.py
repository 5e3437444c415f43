"""Mean and spread of the members of an ensemble."""

import numpy as np
import xarray as xr


def spread(members, axis: int = 0):
    """Returns the standard deviation of the members (ddof = 1); 0 of a single one."""
    number = members.shape[axis]
    return members.std(axis=axis, ddof=min(1, number - 1), dtype=np.float64)


def mean_and_spread(name: str, members: xr.Variable) -> dict[str, xr.Variable]:
    """Returns a variable `name`, the mean over `number`, and `<name>_spread`, labelled."""
    axis, title = members.get_axis_num("number"), members.attrs["long_name"]
    reduced = {
        "mean": members.values.mean(axis=axis, dtype=np.float64),
        "standard_deviation": spread(members.values, axis),
    }
    dims, found = [d for d in members.dims if d != "number"], {}
    for label, (method, values) in zip((name, f"{name}_spread"), reduced.items(), strict=True):
        words = f"{title}, {method.replace('_', ' ')} of the members"
        attributes = members.attrs | {"long_name": words, "cell_methods": f"number: {method}"}
        found[label] = xr.Variable(dims, values.astype(np.float32), attributes)
    return found
