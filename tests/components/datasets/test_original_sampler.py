"""The same windows as the original AtmoRep's sampler and masking make of the same store."""

import json

import numpy as np
import pytest
from whole_records import windows_of

from atmorep_k.batch import tokenize
from atmorep_k.components.datasets import Position
from atmorep_k.components.maskings import Forecast, OriginalTokens, TemporalInterpolation
from atmorep_k.components.maskings.original_tokens import Rates, choose_tokens, treat_tokens
from atmorep_k.earth.variables import canonical_name
from atmorep_k.fields import FieldSpec, Window

NAMES = ["velocity_u", "temperature", "t2m"]
AXES = ("time", "lat", "lon")
CLOSE = {"rtol": 1e-5, "atol": 2e-6}


@pytest.fixture(scope="module")
def case(shared_sampler):
    return json.loads((shared_sampler / "case.json").read_text())


@pytest.fixture(scope="module")
def samples(shared_sampler):
    return dict(np.load(shared_sampler / "samples.npz"))


@pytest.fixture(scope="module")
def expected(shared_sampler):
    return dict(np.load(shared_sampler / "masking.npz"))


@pytest.fixture(scope="module")
def dataset(shared_sampler, case):
    return _open(shared_sampler, case, NAMES)


@pytest.fixture(scope="module")
def positions(samples):
    corners = zip(*(samples[f"{axis}_idx"][:, 0].tolist() for axis in AXES), strict=True)
    return [Position(*corner) for corner in corners]


def _open(shared_sampler, case, names):
    fields = [_spec(field) for field in case["fields"] if field[0] in names]
    return windows_of(shared_sampler / "store.zarr", fields)


def _spec(field) -> FieldSpec:
    name, _, levels, num_tokens, token_size, _, *scope = field
    shape = [n * size for n, size in zip(num_tokens, token_size, strict=True)]
    normalization = "grid_point" if scope == ["local"] else "global"
    return FieldSpec(name, levels, token_size, Window(shape), normalization=normalization)


def _field(dataset, name):
    return next(f for f in dataset.fields if f.name == canonical_name(name))


def _normalised(dataset, positions, field):
    """Returns tokens (sample, level, T, Y, X, value) with nothing hidden."""
    whole = []
    for position in positions:
        _, rows, columns = dataset.indices(position)
        cube = dataset.cube(field.name, position)
        when = dataset.coordinates(position)[0]
        cube = dataset.normalizers[field.name].normalize(cube, when, rows, columns)
        whole.append(tokenize(cube, field.token_size))
    return np.stack(whole)


def test_indices(dataset, samples, positions):
    for i, position in enumerate(positions):
        for ours, axis in zip(dataset.indices(position), AXES, strict=True):
            np.testing.assert_array_equal(ours, samples[f"{axis}_idx"][i])


@pytest.mark.parametrize("name", NAMES)
def test_normalised_values(dataset, samples, positions, name):
    ours = _normalised(dataset, positions, _field(dataset, name))
    theirs = samples[f"source/{name}"]
    np.testing.assert_allclose(ours, theirs.reshape(ours.shape), **CLOSE)


def test_windows_lie_in_two_months_and_across_0_degrees(samples, case, dataset, positions):
    # Else the test above would show less than it seems to.
    months = {m for p in positions for m in dataset.coordinates(p)[0].astype("M8[M]").tolist()}
    assert len(months) == 2
    assert any(np.any(np.diff(samples["lon_idx"][i]) < 0) for i in range(4))


@pytest.mark.parametrize("name", NAMES)
def test_token_info(dataset, samples, positions, name):
    theirs = samples[f"token_info/{name}"]
    for i, position in enumerate(positions):
        ours = dataset.token_info(canonical_name(name), position)
        np.testing.assert_array_equal(ours.reshape(theirs[i].shape), theirs[i])


@pytest.mark.parametrize(
    ("strategy", "masking", "names"),
    [
        # The original's forecast of two tokens hides all of the two that `temperature` has.
        ("forecast", Forecast(2), ["velocity_u", "t2m"]),
        ("temporal_interpolation", TemporalInterpolation(), NAMES),
        ("temporal_listed", TemporalInterpolation([1]), NAMES),
    ],
)
def test_whole_times_hidden(shared_sampler, case, positions, expected, strategy, masking, names):
    dataset = _open(shared_sampler, case, names)
    windows = [dataset.sample(p, masking, np.random.default_rng(0)) for p in positions]
    for name in names:
        field = canonical_name(name)
        tokens = np.stack([w.inputs[f"{field}/tokens"] for w in windows])
        # The original's order: level, sample, token; its index counts on through the samples.
        index = np.stack([w.inputs[f"{field}/masked_index"] for w in windows], axis=1)
        offsets = np.arange(4)[:, None] * np.prod(tokens.shape[2:5])
        of = {k: expected[f"{strategy}/{name}/{k}"] for k in ("masked_idx", "source", "target")}
        np.testing.assert_array_equal((index + offsets).ravel(), of["masked_idx"])
        targets = np.stack([w.targets[field] for w in windows], axis=1)
        np.testing.assert_allclose(targets.reshape(of["target"].shape), of["target"], **CLOSE)
        np.testing.assert_allclose(tokens, of["source"].reshape(tokens.shape), **CLOSE)


def test_random_tokens_hidden(dataset, case, positions, expected):
    seed = case["mask_seed"]
    for name, _, _, _, _, (rate, *rates), *_ in case["fields"]:
        field = _field(dataset, name)
        tokens = _normalised(dataset, positions, field)
        size, flat = field.tokens_per_level, tokens.reshape(*tokens.shape[:2], -1, tokens.shape[-1])
        indices, targets = [], []
        for level in range(len(field.levels)):
            seed += 1
            rng = np.random.default_rng(seed)
            order, counts = choose_tokens(rng, 4, size, rate)
            sample = np.repeat(np.arange(4), counts)
            token = np.concatenate([o[:n] for o, n in zip(order, counts, strict=True)])
            indices.append(sample * size + token)
            targets.append(flat[sample, level, token])
            treat_tokens(flat[:, level], sample, token, field.token_size, Rates(*rates), rng)
            assert counts.tolist() == expected[f"BERT/{name}/masked_count"][level].tolist()
        of = {k: expected[f"BERT/{name}/{k}"] for k in ("masked_idx", "source", "target")}
        np.testing.assert_array_equal(np.concatenate(indices), of["masked_idx"])
        np.testing.assert_allclose(np.concatenate(targets), of["target"], **CLOSE)
        np.testing.assert_allclose(tokens, of["source"].reshape(tokens.shape), **CLOSE)


def test_the_masking_does_the_same_to_a_batch_of_one(dataset, positions):
    field = _field(dataset, "velocity_u")
    tokens = _normalised(dataset, positions[:1], field)[0]
    masked = OriginalTokens(0.8, 0.5, 0.3, 0.4)(tokens, (3, 3, 3), np.random.default_rng(7))
    rng, size = np.random.default_rng(7), field.tokens_per_level
    drawn = [choose_tokens(rng, 1, size, 0.8) for _ in range(2)]
    for level, (order, (count,)) in enumerate(drawn):
        flat = tokens[level].reshape(1, size, -1).copy()
        np.testing.assert_array_equal(masked.index[level, :count], order[0, :count])
        assert masked.weight[level].sum() == count
        chosen = order[0, :count]
        treat_tokens(flat, chosen * 0, chosen, (3, 3, 3), Rates(0.5, 0.3, 0.4), rng)
        np.testing.assert_array_equal(masked.tokens[level].reshape(flat[0].shape), flat[0])
