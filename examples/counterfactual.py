"""Draws what a forecast changes when the model is given another hour of the day.

python examples/counterfactual.py --help  # other paths
"""

import argparse

import matplotlib.pyplot as plt

import atmorep_k

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--model", default="runs/pretrain_field", help="a saved model, or its run")
parser.add_argument("--store", default="demo", help="a store that has the model's fields")
parser.add_argument("--picture", default="counterfactual.png", help="where it is drawn")
options = parser.parse_args()

found = atmorep_k.counterfactual(options.model, options.store, ["2000-01-19T06"], hour=18)
last = found.isel(time=0, prediction_timedelta=-1).sel(level=500)

# A change that is small beside its spread over the members is no answer.
change, doubt = last["vorticity_difference"], last["vorticity_difference_spread"]
figure, (left, right) = plt.subplots(1, 2, figsize=(12, 3), layout="constrained")
change.plot(ax=left)
doubt.plot(ax=right, vmin=0)
left.set_title(f"change when told {found.attrs['told']}")
right.set_title("its standard deviation over the members")
figure.savefig(options.picture)
print(options.picture)
