"""Fixtures shared by all tests: real data where it is there, and the smallest of everything."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from blank_pictures import blank_pictures

os.environ.setdefault("KERAS_BACKEND", "jax")  # whatever is installed: `pytest` tests JAX

import without_tensorflow  # it asks for the backend, and comes before Keras

pytest_plugins = ["compiled_programs", "tiers", "pytester"]

# The suite runs in as many processes as there are cores, and what each computes is small: threads
# of one would only keep those of another waiting.
_THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")


def pytest_configure(config):
    if hasattr(config, "workerinput"):
        return
    for name in _THREADS:
        os.environ.setdefault(name, "1")
    # For sitecustomize.py, which leaves TensorFlow out of the processes that tests start.
    support = str(Path(without_tensorflow.__file__).parent)
    path = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [support, *path]))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    if item.get_closest_marker("rendered"):
        return (yield)
    with blank_pictures():
        return (yield)


def _shared(name: str) -> Path:
    root = Path(os.environ.get("ATMOREP_K_SHARED", Path(__file__).parents[2] / "shared"))
    if not (root / name).is_dir():
        pytest.skip(f"the directory {name!r} of real data is not beside the repository")
    return root / name


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Directory of real data files; the test is skipped where they are not present."""
    return _shared("data")


@pytest.fixture(scope="session")
def shared_parity() -> Path:
    """Directory of weights and outputs of the original; skipped where they are not present."""
    return _shared("parity")


@pytest.fixture(scope="session")
def shared_sampler() -> Path:
    """Directory with the original's sampled windows; skipped where they are not present."""
    return _shared("parity_sampler")


@pytest.fixture(scope="session")
def make_field():
    """Function that makes a field of 2 levels x (2, 2, 4) tokens of 8 values, changed as asked."""
    from atmorep_k.fields import FieldSpec, Window

    def make(name="temperature", levels=(500, 850), window=(4, 4, 8), **changes):
        options = {"token_size": (2, 2, 2), "embed_dim": 16, **changes}
        return FieldSpec(name, list(levels), window=Window(window), **options)

    return make


@pytest.fixture(scope="session")
def make_model(make_field):
    """Function (fields, changed parts) -> an `AtmoRep` of two layers; not built."""
    from atmorep_k import components
    from atmorep_k.model import AtmoRep

    def make(fields=None, encode="all", name="atmorep", dtype=None, **parts):
        chosen = {
            "tokenizer": components.tokenizers.CuboidTokenizer(),
            "token_info": components.tokenizers.TokenInfo(embed_dim=4),
            "position": components.positions.HarmonicPosition(),
            "encoder": components.encoders.Encoder(
                num_layers=2, block=components.blocks.TransformerBlock(num_heads=2)
            ),
            "decoder": components.decoders.UNetDecoder(
                num_layers=2, block=components.blocks.TransformerBlock(num_heads=2)
            ),
            "tail": components.tails.LinearEnsemble(num_members=3),
            "normalizer": components.normalizers.MonthlyNormalizer(),
            **parts,
        }
        return AtmoRep(fields or [make_field()], **chosen, encode=encode, name=name, dtype=dtype)

    return make


@pytest.fixture(scope="session")
def randomize():
    """Function that gives every weight of a model or layer a random value, none stays at zero."""

    def change(layer, seed=0, scale=0.1):
        rng = np.random.default_rng(seed)
        for weight in layer.trainable_variables:
            value = np.asarray(weight.numpy(), "float32")
            weight.assign(value + scale * rng.standard_normal(value.shape).astype("float32"))
        return layer

    return change


@pytest.fixture(scope="session")
def make_batch():
    """Function (fields, size, slots, seed) -> (inputs, targets, weights) of random values."""
    return random_batch


def random_batch(fields, size=2, slots=3, seed=0):
    """Returns a batch (see `atmorep_k.batch`): masked tokens are 0, the last slot is not used."""
    from atmorep_k.batch import input_specs

    rng = np.random.default_rng(seed)
    inputs, targets, weights = {}, {}, {}
    for name, (shape, dtype) in input_specs(fields, {f.name: slots for f in fields}).items():
        inputs[name] = rng.standard_normal((size, *shape)).astype(dtype)
    for field in fields:
        inputs[f"{field.name}/token_info"][...] = _token_info(field)
        if not field.predicted:
            continue
        levels, tokens = len(field.levels), field.tokens_per_level
        order = np.argsort(rng.random((size, levels, tokens)), axis=-1)
        index = order[..., :slots].astype("int32")
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


@pytest.fixture(scope="session")
def write_tiny_store():
    """Function (path, names, ...) that writes five days of a wave, 2 levels on 8 x 16 points.

    Of several fields each shows the same wave, a quarter of its length further east. Start, levels
    and numbers of points may be others.
    """
    return _write_tiny_store


def _write_tiny_store(
    path, names=("temperature",), start="2020-01-01T00", levels=(500.0, 850.0), points=(8, 16)
):
    from atmorep_k.data.stores.layout import StoreDescription
    from atmorep_k.data.writing.write_store import write_store
    from atmorep_k.earth.variables import variable_info

    time, level = np.datetime64(start, "h") + np.arange(120), np.array(levels)
    height, width = 180 / points[0], 360 / points[1]
    latitude = 90 - height * (0.5 + np.arange(points[0]))
    longitude = width * np.arange(points[1])
    variables = {name: variable_info(name) for name in names}
    description = StoreDescription(
        time, level, latitude, longitude, variables, {"title": "a travelling wave"}
    )
    hours, levels, lat, lon = np.ix_(np.arange(120), range(len(level)), latitude, longitude)
    rng, values = np.random.default_rng(0), {}
    for number, name in enumerate(names):
        phase = 2 * lon - 90 * number - 7.5 * hours + 30 * levels
        wave = np.cos(np.radians(phase)) * np.cos(np.radians(lat))
        noise = rng.standard_normal(wave.shape)
        values[name] = (280 - 10 * levels + 8 * wave + noise).astype("float32")
    return write_store(path, description, [values])


@pytest.fixture(scope="session")
def tiny_store(tmp_path_factory, write_tiny_store):
    """Path of a store as `write_tiny_store` makes it; not to be changed."""
    return write_tiny_store(tmp_path_factory.mktemp("store") / "tiny.zarr")


THREE = ("vorticity", "temperature", "divergence")


@pytest.fixture(scope="session")
def three_fields(tmp_path_factory, write_tiny_store, make_model, make_field):
    """Directory with a store `three.zarr` of three fields and a model of each, not trained."""
    import keras

    from atmorep_k import components

    folder = tmp_path_factory.mktemp("three")
    write_tiny_store(folder / "three.zarr", THREE)
    for number, name in enumerate(THREE):
        keras.utils.set_random_seed(number)
        model = make_model([make_field(name)])
        dataset = components.datasets.WindowDataset(str(folder / "three.zarr"))
        dataset.open(model.fields, model.normalizers)
        model.provenance = dataset.provenance()
        model.build()
        model.save(folder / f"{name}.keras")
    return folder


@pytest.fixture(scope="session")
def tiny_config(tiny_store):
    """Function (bindings, macros) -> text of a gin file that pretrains a tiny model."""

    def text(bindings=None, **macros):
        chosen = {
            "STORE": str(tiny_store),
            "FIELD": "temperature",
            "LEVELS": [500, 850],
            "WINDOW": (4, 4, 8),
            "STEP_HOURS": 1,
            "TOKEN_SIZE": (2, 2, 4),
            "EMBED_DIM": 24,
            "STEPS": 6,
            "BATCH_SIZE": 2,
            **{name.upper(): value for name, value in macros.items()},
        }
        small = {
            "Encoder.num_layers": 1,
            "UNetDecoder.num_layers": 1,
            "TransformerBlock.num_heads": 2,
            "encoder/TransformerBlock.dropout": 0.1,
            "LinearEnsemble.num_members": 3,
            "TrainingSchedule.steps_per_epoch": 3,
            "TrainingSchedule.checkpoint_every": 3,
            "TrainingSchedule.validation_batches": 1,
            "WarmupDecay.warmup_steps": 4,
            "Scoring.num_samples": 2,
            "Scoring.batch_size": 2,
            **(bindings or {}),
        }
        lines = [f"{name} = {value!r}" for name, value in {**chosen, **small}.items()]
        return "\n".join(["include 'pretrain_field.gin'", *lines]) + "\n"

    return text


@pytest.fixture(scope="session")
def write_original_store():
    """Function (path, ...) that writes a store as the original AtmoRep has them."""
    return _write_original_store


def _write_original_store(path, *, hours, spacing=(10.0, 10.0), lons=None, lats=None, **options):
    """Returns the arrays that are written into a store of the original's layout.

    Args:
        path: the directory.
        hours: `(time,)` datetime64.
        spacing: degrees in latitude and longitude.
        lons: longitudes; round the globe by default.
        lats: co-latitudes; all of them by default.
        options: `zarr_format` (2), `without` (names of arrays and attributes to leave out),
            `attributes` that take the place of others, `dtype` of the values.
    """
    import zarr

    lats = np.arange(0, 180.1, spacing[0]) if lats is None else lats
    lons = np.arange(0, 360, spacing[1]) if lons is None else lons
    rng, grid = np.random.default_rng(0), (len(lats), len(lons))
    months = hours.astype("datetime64[M]").astype(int)
    slots = 12 * (months[-1] // 12 - months[0] // 12 + 1)
    shapes = {"norm": (2, 3, *grid), "norm_sfc": (1, *grid)}
    shapes |= {"global_norm": (2, 3), "global_norm_sfc": (1,)}
    arrays = {
        "time": hours,
        "lats": lats,
        "lons": lons,
        # Every value tells where it comes from.
        "data": np.arange(len(hours) * 6 * np.prod(grid)).reshape(len(hours), 2, 3, *grid),
        "data_sfc": rng.normal(280, 9, (len(hours), 1, *grid)),
    }
    for name, shape in shapes.items():
        mean, std = rng.normal(280, 9, (slots, *shape)), rng.uniform(1, 9, (slots, *shape))
        arrays[f"normalization/{name}"] = np.stack([mean, std], axis=1)
    attributes = {"fields": ["velocity_u", "mine"], "levels": [96, 114, 137]}
    attributes |= {"fields_sfc": ["t2m"], "is_global": 1, "res": list(spacing)}
    attributes |= options.get("attributes", {})
    without = options.get("without", ())
    group = zarr.open_group(path, mode="w", zarr_format=options.get("zarr_format", 2))
    group.attrs.update({k: v for k, v in attributes.items() if k not in without})
    for name, values in arrays.items():
        if values.dtype.kind != "M":
            real = options.get("dtype", "float32") if name.startswith("data") else "float64"
            real = "float32" if name.startswith("norm") else real
            arrays[name] = values = values.astype(real)
        chunks = (8 if name.startswith("data") else 1, *values.shape[1:])
        if name not in without:
            group.create_array(name, data=values, chunks=chunks if values.ndim > 1 else (50,))
    return {name: values for name, values in arrays.items() if name not in without}


@pytest.fixture(scope="session")
def original():
    """The module `original_network.py`: the original AtmoRep in plain numpy."""
    import original_network

    return original_network


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
