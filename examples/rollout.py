"""Forecasts two days ahead, further than a window reaches; prints how the spread grows.

python examples/rollout.py --help  # other paths
"""

import argparse

import numpy as np

import atmorep_k

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--model", default="runs/pretrain_field", help="a saved model, or its run")
parser.add_argument("--store", default="demo", help="a store that has the model's fields")
parser.add_argument("--hours", type=float, default=48)
options = parser.parse_args()

# Each member is a trajectory that is fed with its own forecasts.
found = atmorep_k.rollout(
    options.model, options.store, ["2000-01-18T06"], hours=options.hours, region=(20, 80, -30, 60)
)
spread = found["vorticity"].isel(time=0).sel(level=500).std("number", ddof=1)

by_hour = np.sqrt((spread**2).mean(["latitude", "longitude"]))
for hours, value in zip(by_hour["prediction_timedelta"].values, by_hour.values, strict=True):
    print(f"{hours / np.timedelta64(1, 'h'):4.0f} h: {value:.3g} s-1")
