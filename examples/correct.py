"""Draws where a record is unlike what the model expects from around each place.

python examples/correct.py --help  # other paths
"""

import argparse

import matplotlib.pyplot as plt
import numpy as np

import atmorep_k

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--model", default="runs/pretrain_field", help="a saved model, or its run")
parser.add_argument("--store", default="demo", help="a store that has the model's fields")
parser.add_argument("--picture", default="correct.png", help="where it is drawn")
options = parser.parse_args()

# Every token is masked once, in one of four passes, and predicted from its neighbours.
found = atmorep_k.correct(options.model, options.store, ["2000-01-18T00"], passes=4)
one = found.isel(time=0, prediction_timedelta=-1).sel(level=500)

# In units of the spread: beyond about 3, an error of the record, or something rare.
unlike = one["vorticity_difference"] / one["vorticity"].std("number", ddof=1)
unlike.attrs = {"long_name": "(reconstruction - input) / spread"}
unlike.plot(figsize=(8, 3), robust=True)
plt.savefig(options.picture, bbox_inches="tight")
print(f"largest: {float(np.abs(unlike).max()):.1f} spreads; {options.picture}")
