"""Hides random tokens and draws what the model makes of them from the others.

python examples/reconstruct.py --help  # other paths
"""

import argparse

import matplotlib.pyplot as plt

import atmorep_k

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--model", default="runs/pretrain_field", help="a saved model, or its run")
parser.add_argument("--store", default="demo", help="a store that has the model's fields")
parser.add_argument("--picture", default="reconstruct.png", help="where it is drawn")
options = parser.parse_args()

found = atmorep_k.reconstruct(options.model, options.store, ["2000-01-18T00"], ratio=0.5, seed=1)
one = found.isel(time=0, prediction_timedelta=-1).sel(level=500)

# What was visible is NaN; `vorticity_hidden` says what was not.
mean = one["vorticity"].mean("number")
share = float(one["vorticity_hidden"].mean())
mean.plot(figsize=(8, 3))
plt.title(f"{100 * share:.0f} % masked and predicted")
plt.savefig(options.picture, bbox_inches="tight")
print(options.picture)
