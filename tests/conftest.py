"""Fixtures shared by all tests: real data where it is there, and the smallest of everything."""

import os
from pathlib import Path

import numpy as np
import pytest


def _shared(name: str) -> Path:
    root = Path(os.environ.get("ATMOREP_K_SHARED", Path(__file__).parents[2] / "shared"))
    if not (root / name).is_dir():
        pytest.skip(f"the directory {name!r} of real data is not beside the repository")
    return root / name


@pytest.fixture
def shared_data() -> Path:
    """Directory of real data files; the test is skipped where they are not present."""
    return _shared("data")


@pytest.fixture
def shared_parity() -> Path:
    """Directory of weights and outputs of the original; skipped where they are not present."""
    return _shared("parity")


@pytest.fixture
def shared_sampler() -> Path:
    """Directory with the original's sampled windows; skipped where they are not present."""
    return _shared("parity_sampler")


@pytest.fixture
def make_field():
    """Function that makes a field of 2 levels x (2, 2, 4) tokens of 8 values, changed as asked."""
    from atmorep_k.fields import FieldSpec, Window

    def make(name="temperature", levels=(500, 850), window=(4, 4, 8), **changes):
        options = {"token_size": (2, 2, 2), "embed_dim": 16, **changes}
        return FieldSpec(name, list(levels), window=Window(window), **options)

    return make


@pytest.fixture
def make_model(make_field):
    """Function (fields, changed parts) -> an `AtmoRep` of two layers; not built."""
    from atmorep_k import components
    from atmorep_k.model import AtmoRep

    def make(fields=None, encode="all", name="atmorep", dtype=None, **parts):
        chosen = {
            "tokenizer": components.tokenizers.CuboidTokenizer(),
            "token_info": components.tokenizers.TokenInfo(embed_dim=4),
            "position": components.positions.HarmonicPosition(),
            "encoder": components.encoders.DenseEncoder(num_layers=2, num_heads=2),
            "decoder": components.decoders.UNetDecoder(num_layers=2, num_heads=2),
            "tail": components.tails.LinearEnsemble(num_members=3),
            "normalizer": components.normalizers.MonthlyNormalizer(),
            **parts,
        }
        return AtmoRep(fields or [make_field()], **chosen, encode=encode, name=name, dtype=dtype)

    return make


@pytest.fixture
def randomize():
    """Function that gives every weight of a model or layer a random value, none stays at zero."""

    def change(layer, seed=0, scale=0.1):
        rng = np.random.default_rng(seed)
        for weight in layer.trainable_variables:
            value = np.asarray(weight.numpy(), "float32")
            weight.assign(value + scale * rng.standard_normal(value.shape).astype("float32"))
        return layer

    return change


@pytest.fixture
def make_batch():
    """Function (fields, size, slots, seed) -> (inputs, targets, weights) of random values."""
    return random_batch


def random_batch(fields, size=2, slots=3, seed=0):
    """Returns a batch as `atmorep_k.batch` says; masked tokens are zero, the last slot is unused."""
    from atmorep_k.batch import input_specs

    rng = np.random.default_rng(seed)
    inputs, targets, weights = {}, {}, {}
    for name, (shape, dtype) in input_specs(fields, {f.name: slots for f in fields}).items():
        inputs[name] = rng.standard_normal((size, *shape)).astype(dtype)
    for field in fields:
        levels, tokens = len(field.levels), field.tokens_per_level
        order = np.argsort(rng.random((size, levels, tokens)), axis=-1)
        index = order[..., :slots].astype("int32")
        info = inputs[f"{field.name}/token_info"]
        info[...] = _token_info(field)
        values = inputs[f"{field.name}/tokens"].reshape(size, levels, tokens, -1)
        targets[field.name] = np.take_along_axis(values, index[..., None], 2)
        weight = np.ones((size, levels, slots), "float32")
        weight[..., slots - 1 :] = slots == 1
        weights[field.name] = weight
        hidden = np.where(weight[..., None] > 0, 0.0, targets[field.name])
        np.put_along_axis(values, index[..., None], hidden, 2)
        inputs[f"{field.name}/masked_index"] = index
    return inputs, targets, weights


def _token_info(field):
    times, rows, columns = np.indices(field.num_tokens, dtype="float32")
    info = np.empty((len(field.levels), *field.num_tokens, 8), "float32")
    info[..., 0], info[..., 1], info[..., 2] = 2020, 31, 6 + 2 * times
    info[..., 3] = info[..., 6] = np.reshape(field.levels, (-1, 1, 1, 1))
    info[..., 4], info[..., 5], info[..., 7] = 40 + 5 * rows, 350 + 5 * columns, 2.5
    return info
