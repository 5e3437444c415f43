"""Runs of the original, written by the tests themselves: random weights, its names and files."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

_spec = importlib.util.spec_from_file_location(
    "original_reference", Path(__file__).with_name("reference.py")
)
reference = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(reference)


@pytest.fixture(scope="session")
def original():
    """The module `reference.py`: the original in plain numpy."""
    return reference


@pytest.fixture(scope="session")
def write_run():
    """Function (folder, network, run, blocks) that writes a run's files, as the original does."""
    return _write_run


def _write_run(folder, network, run="abcd1234", whole=True, blocks=False, epoch=None):
    import torch

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"model_id{run}.json").write_text(json.dumps(network.cf))
    ending = f"{run}.mod" if epoch is None else f"{run}_epoch{epoch}.mod"
    state = {key: torch.from_numpy(array) for key, array in network.state.items()}
    if whole:
        torch.save(state, folder / f"AtmoRep_id{ending}")
    if blocks:
        names = {"encoder": network.names}
        predicted = [entry[0] for entry in network.cf["fields_prediction"]]
        names |= {"decoder": predicted, "tail": predicted}
        parts = {f"{b}_{n}": f"{b}s.{i}." for b, ns in names.items() for i, n in enumerate(ns)}
        for part, prefix in {**parts, "embeds_token_info": "embeds_token_info."}.items():
            kept = {k.removeprefix(prefix): t for k, t in state.items() if k.startswith(prefix)}
            torch.save(kept, folder / f"AtmoRep_{part}_id{ending}")
    return folder


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
