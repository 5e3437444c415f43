"""Prints the median and the middle 90 % of a forecast at places, hour by hour.

python examples/point.py --help  # other paths
"""

import argparse

import numpy as np

import atmorep_k

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--model", default="runs/pretrain_field", help="a saved model, or its run")
parser.add_argument("--store", default="demo", help="a store that has the model's fields")
options = parser.parse_args()

places = {"Berlin": (52.5, 13.4), "Sydney": (-33.9, 151.2)}
found = atmorep_k.point(options.model, options.store, ["2000-01-19T06"], places)

quantiles = found["vorticity"].isel(time=0).sel(level=500).quantile([0.05, 0.5, 0.95], "number")
for place in quantiles["place"].values:
    print(place)
    table = quantiles.sel(place=place).transpose("prediction_timedelta", "quantile").to_pandas()
    table.index = table.index / np.timedelta64(1, "h")
    print(table.to_string(float_format="%.2e"))
