"""Fills a block that is taken out of a record; prints its error beside that of the mean.

python examples/infill.py --help  # other paths
"""

import argparse

import numpy as np

import atmorep_k
from atmorep_k.data.named import store_path
from atmorep_k.data.opening import open_store

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--model", default="runs/pretrain_field", help="a saved model, or its run")
parser.add_argument("--store", default="demo", help="a store that has the model's fields")
options = parser.parse_args()

# Real gaps are found where values are NaN. The demo has none: known values are masked.
found = atmorep_k.infill(
    options.model, options.store, ["2000-01-18T00"], block=(30, 60, 0, 60), hours=(3, 9)
)
filled = found["vorticity"].isel(time=0).mean("number")
hidden = found["vorticity_hidden"].isel(time=0)

# What the store has at the same hours, levels and places.
record = open_store(store_path(options.store)).dataset()["vorticity"]
times = found["time"].values[0] + found["prediction_timedelta"]
truth = record.sel(time=times, level=filled["level"], latitude=filled["latitude"])
truth = truth.sel(longitude=filled["longitude"] % 360).assign_coords(filled.coords)

area = np.cos(np.deg2rad(truth["latitude"]))
for name, guess in {"the model": filled, "zero": 0 * filled}.items():
    error = np.sqrt(((guess - truth) ** 2).where(hidden).weighted(area).mean())
    print(f"RMSE of {name} in the gap: {float(error):.3g} s-1")
