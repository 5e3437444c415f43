"""Prints how much of its attention a token pays to each time, layer by layer.

python examples/attention.py --help  # other paths
"""

import argparse

import atmorep_k

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--model", default="runs/pretrain_field", help="a saved model, or its run")
parser.add_argument("--store", default="demo", help="a store that has the model's fields")
options = parser.parse_args()

# The token over 50 N 10 E in the hours after 19 January 06 UTC, which are masked.
found = atmorep_k.attention(
    options.model, options.store, "2000-01-19T06", (50, 10), level=500, hide=1
)
weights = found["decoder_encoder"].mean("head")
by_time = weights.sum(["level", "latitude", "longitude"])
print((100 * by_time).transpose("layer", "time").to_pandas().round(1).to_string())
