"""Forecasts the globe and draws the ensemble mean and its spread.

python examples/forecast.py --help  # other paths
"""

import argparse

import matplotlib.pyplot as plt

import atmorep_k

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--model", default="runs/pretrain_field", help="a saved model, or its run")
parser.add_argument("--store", default="demo", help="a store that has the model's fields")
parser.add_argument("--picture", default="forecast.png", help="where it is drawn")
options = parser.parse_args()

# The last hour that the model sees names the forecast; `overlap` blends windows at their seams.
found = atmorep_k.forecast(options.model, options.store, ["2000-01-19T06"], overlap=(1, 1))
field = found["vorticity"].isel(time=0, prediction_timedelta=-1).sel(level=500)

figure, (left, right) = plt.subplots(1, 2, figsize=(12, 3), layout="constrained")
field.mean("number").plot(ax=left)
field.std("number", ddof=1).plot(ax=right, vmin=0)
left.set_title("mean of the members")
right.set_title("their standard deviation")
figure.savefig(options.picture)
print(options.picture)
