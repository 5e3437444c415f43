"""Batches for networks that the tests write in the original's files."""

import numpy as np
import pytest


@pytest.fixture(scope="session")
def inputs_of():
    """Function (model, names) -> inputs of ours, and tokens, infos, masked as the reference's."""
    return _inputs_of


def _inputs_of(model, names, size=2, slots=5, seed=3):
    rng = np.random.default_rng(seed)
    inputs, tokens, infos, masked = {}, {}, {}, {}
    for field, theirs in zip(model.fields, names, strict=True):
        grid = (size, len(field.levels), *field.num_tokens)
        tokens[theirs] = rng.standard_normal((*grid, field.token_values)).astype("float32")
        infos[theirs] = rng.uniform(0, 2021, (*grid, 8)).astype("float32")
        order = np.argsort(rng.random((*grid[:2], field.tokens_per_level)), axis=-1)
        masked[theirs] = order[..., :slots].astype("int32")
        inputs[f"{field.name}/tokens"] = tokens[theirs]
        inputs[f"{field.name}/token_info"] = infos[theirs]
        if field.predicted:
            inputs[f"{field.name}/masked_index"] = masked[theirs]
    return inputs, tokens, infos, masked
