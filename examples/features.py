"""Prints how many numbers hold most of what the encoder says of the tokens.

python examples/features.py --help  # other paths
"""

import argparse

import numpy as np

import atmorep_k

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--model", default="runs/pretrain_field", help="a saved model, or its run")
parser.add_argument("--store", default="demo", help="a store that has the model's fields")
options = parser.parse_args()

# The last layer of the encoder: one vector for each token, as input for other models.
found = atmorep_k.features(options.model, options.store, ["2000-01-19T06"])
tokens = found["features"].stack(token=("time", "level", "token_time", "latitude", "longitude"))
vectors = tokens.transpose("token", "feature").values
print(f"{len(vectors)} tokens, {vectors.shape[1]} features each")

# Principal components: the singular values of what differs from the mean.
variance = np.linalg.svd(vectors - vectors.mean(axis=0), compute_uv=False) ** 2
share = np.cumsum(variance) / variance.sum()
for wanted in (0.5, 0.9, 0.99):
    print(f"{100 * wanted:.0f} % of the variance: {np.searchsorted(share, wanted) + 1} components")
