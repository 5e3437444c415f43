"""Fills masked hours from both sides; prints how sure the model is of each of them.

python examples/interpolate.py --help  # other paths
"""

import argparse

import numpy as np

import atmorep_k

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--model", default="runs/pretrain_field", help="a saved model, or its run")
parser.add_argument("--store", default="demo", help="a store that has the model's fields")
options = parser.parse_args()

# The hours after 18 January 00 UTC are masked, up to where the next time token begins.
found = atmorep_k.interpolate(options.model, options.store, ["2000-01-18T00"])
spread = found["vorticity"].isel(time=0).std("number", ddof=1)

# The root of the mean variance, by hour: points nearer to the poles stand for less area.
area = np.cos(np.deg2rad(spread["latitude"]))
by_hour = np.sqrt((spread**2).weighted(area).mean(["level", "latitude", "longitude"]))
for hours, value in zip(by_hour["prediction_timedelta"].values, by_hour.values, strict=True):
    print(f"{hours / np.timedelta64(1, 'h'):4.0f} h after the last visible hour: {value:.3g} s-1")
