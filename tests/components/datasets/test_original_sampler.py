"""The same windows as the original AtmoRep's sampler and masking make of the same store."""

import json

import numpy as np
import pytest

from atmorep_k.components.datasets import Position, WindowDataset
from atmorep_k.components.maskings import Forecast, TemporalInterpolation
from atmorep_k.data.store import StoreDescription, VariableInfo, write_store
from atmorep_k.fields import FieldSpec, Window

NAMES = {
    "velocity_u": "u_component_of_wind",
    "temperature": "temperature",
    "t2m": "2m_temperature",
}


@pytest.fixture
def case(shared_sampler):
    return json.loads((shared_sampler / "case.json").read_text())


@pytest.fixture
def samples(shared_sampler):
    return dict(np.load(shared_sampler / "samples.npz"))


@pytest.fixture
def dataset(shared_sampler, case, tmp_path_factory):
    """The original's store as one of ours, normalised by the original's statistics."""
    import zarr

    source = zarr.open_group(shared_sampler / "store.zarr", mode="r")
    path = tmp_path_factory.getbasetemp() / "original.zarr"
    if not path.exists():
        _convert(source, path)
    dataset = WindowDataset(str(path))
    dataset.open([_spec(field, case) for field in case["fields"]])
    for field in dataset.fields:
        _use_statistics(source, field, dataset)
    return dataset


def _convert(source, path) -> None:
    has_level = {"velocity_u": True, "temperature": True, "t2m": False}
    description = StoreDescription(
        source["time"][:],
        np.array(source.attrs["levels"], float),
        90 - source["lats"][:],
        source["lons"][:],
        {NAMES[n]: VariableInfo("1", "", "", level) for n, level in has_level.items()},
        {},
    )
    values = {NAMES[n]: source["data"][:, i] for i, n in enumerate(source.attrs["fields"])}
    values[NAMES["t2m"]] = source["data_sfc"][:]
    write_store(path, description, [values])


def _spec(field, case) -> FieldSpec:
    name, _, levels, num_tokens, token_size, _, *scope = field
    shape = [n * size for n, size in zip(num_tokens, token_size, strict=True)]
    normalization = "grid_point" if scope == ["local"] else "global"
    return FieldSpec(name, levels, token_size, Window(shape), normalization=normalization)


def _use_statistics(source, field, dataset) -> None:
    arrays = source["normalization"]
    if field.name == "2m_temperature":
        of_level, of_point = arrays["global_norm_sfc"][:, :, 0], arrays["norm_sfc"][:, :, 0]
        of_level, of_point = of_level[:, :, None], of_point[:, :, None]
    else:
        index = [NAMES[n] for n in source.attrs["fields"]].index(field.name)
        of_level, of_point = arrays["global_norm"][:, :, index], arrays["norm"][:, :, index]
    statistics = {"mean": of_level[:, 0], "std": of_level[:, 1]}
    statistics |= {"mean_grid": of_point[:, 0], "std_grid": of_point[:, 1]}
    has_level = field.levels != (0,)
    levels = [source.attrs["levels"].index(n) for n in field.levels] if has_level else [0]
    latitude, longitude = 90 - source["lats"][:], source["lons"][:]
    normalizer = dataset.normalizers[field.name]
    normalizer.fit(statistics, levels, field.normalization, latitude, longitude)


def _windows(dataset, samples, masking, monkeypatch):
    """Returns the four samples at the original's positions."""
    corners = zip(*(samples[f"{axis}_idx"][:, 0] for axis in ("time", "lat", "lon")), strict=True)
    windows = []
    for corner in corners:
        position = Position(*(int(i) for i in corner))
        monkeypatch.setattr(dataset, "position", lambda *_, position=position: position)
        windows.append(dataset.window("train", 0, 0, masking))
    return windows


def _whole_window(dataset, samples, field, monkeypatch):
    """Returns normalised tokens (batch, level, T, Y, X, value) with nothing hidden."""
    whole = []
    for window in _windows(dataset, samples, TemporalInterpolation([0]), monkeypatch):
        tokens = window.inputs[f"{field.name}/tokens"]
        tokens[:, 0] = window.targets[field.name].reshape(tokens[:, 0].shape)
        whole.append(tokens)
    return np.stack(whole)


def test_indices(dataset, samples):
    for i in range(4):
        corner = [int(samples[f"{axis}_idx"][i, 0]) for axis in ("time", "lat", "lon")]
        for ours, axis in zip(
            dataset.indices(Position(*corner)), ("time", "lat", "lon"), strict=True
        ):
            np.testing.assert_array_equal(ours, samples[f"{axis}_idx"][i])


@pytest.mark.parametrize("name", NAMES)
def test_normalised_values(dataset, samples, name, monkeypatch):
    field = next(f for f in dataset.fields if f.name == NAMES[name])
    ours = _whole_window(dataset, samples, field, monkeypatch)
    theirs = samples[f"source/{name}"]
    np.testing.assert_allclose(ours, theirs.reshape(ours.shape), rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("name", NAMES)
def test_token_info(dataset, samples, name):
    theirs = samples[f"token_info/{name}"]
    for i in range(4):
        corner = [int(samples[f"{axis}_idx"][i, 0]) for axis in ("time", "lat", "lon")]
        ours = dataset.token_info(NAMES[name], Position(*corner))
        np.testing.assert_array_equal(ours.reshape(theirs[i].shape), theirs[i])


@pytest.mark.parametrize(
    ("strategy", "masking", "names"),
    [
        # The original's forecast of two tokens hides all of the two that `temperature` has.
        ("forecast", Forecast(2), ["velocity_u", "t2m"]),
        ("temporal_interpolation", TemporalInterpolation(), list(NAMES)),
        ("temporal_listed", TemporalInterpolation([1]), list(NAMES)),
    ],
)
def test_masking(dataset, samples, shared_sampler, strategy, masking, names, monkeypatch):
    expected = np.load(shared_sampler / "masking.npz")
    if strategy == "forecast":
        dataset.fields = [f for f in dataset.fields if f.num_tokens[0] > 2]
    windows = _windows(dataset, samples, masking, monkeypatch)
    for name in names:
        theirs = {k: expected[f"{strategy}/{name}/{k}"] for k in ("masked_idx", "source", "target")}
        field, inputs = NAMES[name], [w.inputs for w in windows]
        tokens = np.stack([i[f"{field}/tokens"] for i in inputs])
        # The original's order: level, sample, token; its index counts on through the samples.
        index = np.stack([i[f"{field}/masked_index"] for i in inputs], axis=1)
        offsets = np.arange(4)[:, None] * np.prod(tokens.shape[2:5])
        np.testing.assert_array_equal((index + offsets).ravel(), theirs["masked_idx"])
        targets = np.stack([w.targets[field] for w in windows], axis=1)
        shape = theirs["target"].shape
        np.testing.assert_allclose(targets.reshape(shape), theirs["target"], rtol=1e-5, atol=2e-6)
        source = theirs["source"].reshape(tokens.shape)
        np.testing.assert_allclose(tokens, source, rtol=1e-5, atol=2e-6)
