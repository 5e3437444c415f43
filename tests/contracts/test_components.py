"""What every registered component must do; a component without a case here fails."""

import dataclasses
import inspect
import json
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import typeguard

from atmorep_k import components as c
from atmorep_k import registry
from atmorep_k.evaluation.held_out.scoring import Scoring
from atmorep_k.fields import FieldSpec, Window
from atmorep_k.model import AtmoRep
from atmorep_k.registry.parameters import named_parameters
from atmorep_k.training import TrainingSchedule
from atmorep_k.training.watch.watch import Watch

from component_arrays import assert_equal, random_arrays


@dataclasses.dataclass(frozen=True)
class Case:
    """How a test makes and uses one component.

    Args:
        arguments: returns the constructor's arguments, few of them the defaults.
        inputs: of a layer: arrays (or lists of arrays) for `call`, as shapes with the batch axis.
        use: of other components: what an object does with its configuration, as arrays.
        always_float32: whether a layer keeps to float32 in mixed precision.
    """

    arguments: Callable[[], dict[str, Any]] = dict
    inputs: tuple = ()
    use: Callable[[Any], Any] = lambda component: None
    always_float32: bool = False


def _loss(loss):
    rng = np.random.default_rng(1)
    target, latitude = rng.normal(size=(2, 2, 3, 2, 5)).astype("float32")
    members = rng.normal(size=(2, 3, 2, 4, 5)).astype("float32")
    return loss(target, members, latitude=10 * latitude)


def _masking(masking):
    tokens = np.random.default_rng(2).standard_normal((2, 4, 2, 2, 8), "float32")
    masked = masking(tokens, (2, 2, 2), np.random.default_rng(3))
    return [masked.tokens, masked.index, masked.weight]


def _field(name="temperature", **changes):
    return FieldSpec(name, [500, 850], (2, 2, 2), Window((4, 4, 8)), embed_dim=16, **changes)


def _model_arguments():
    return {
        "fields": [_field("vorticity"), _field("temperature", couplings=["vorticity"])],
        "tokenizer": c.tokenizers.CuboidTokenizer(),
        "token_info": c.tokenizers.TokenInfo(4, hidden=(6,)),
        "position": c.positions.HarmonicPosition(),
        "encoder": c.encoders.Encoder(num_layers=1, block=c.blocks.TransformerBlock(num_heads=2)),
        "decoder": c.decoders.UNetDecoder(
            num_layers=2, block=c.blocks.TransformerBlock(num_heads=2, qk_norm="affine")
        ),
        "tail": c.tails.LinearEnsemble(num_members=3),
        "normalizer": c.normalizers.MonthlyNormalizer(),
        "coupler": c.couplers.CrossFieldAttention(num_heads=2, qk_norm="keys"),
        "first_guess": c.first_guesses.TemporalNeighbours(0.2),
        "encode": "visible",
        "parts": {"temperature": {"tail": c.tails.LinearEnsemble(num_members=2)}},
        "freeze": ("encoder/vorticity/*", "!*/mlp/*"),
        "provenance": {"store": "a.zarr", "units": {"temperature": "K"}},
        "name": "two_fields",
    }


def _pretraining_arguments():
    return {
        "model": AtmoRep(**_model_arguments()),
        "dataset": c.datasets.WindowDataset("a.zarr"),
        "masking": c.maskings.Forecast(),
        "loss": c.losses.KernelCRPS(),
        "optimizer": keras.optimizers.AdamW(c.schedules.WarmupDecay(), weight_decay=0.1),
        "schedule": TrainingSchedule(steps=7, minutes=2.5),
        "adapters": c.adapters.LowRankAdapters(rank=2),
        "learning_rates": {"*/coupled_*": 10.0},
        "callbacks": [c.callbacks.MLflowLogger("winds")],
        "watch": Watch({"forecast": c.maskings.Forecast()}, every=5),
        "scoring": Scoring({"forecast": c.maskings.Forecast()}, num_samples=3),
        "mesh": c.distributions.Mesh((2, 1)),
        "seed": 5,
    }


def _net(**changes):
    return {"num_heads": 2, "mlp_ratio": 1.5, "dropout": 0.1, **changes}


SEQUENCE, PLACES, GRID = (2, 6, 16), (2, 2, 3, 4, 16), (2, 2, 2, 2, 4, 8)
CASES = {
    "AttentionHeads": Case(
        lambda: {"num_heads": 2, "head_dim": 3, "cross": True}, (SEQUENCE, (2, 5, 4))
    ),
    "MLP": Case(lambda: {"ratio": 3.0, "dropout": 0.1, "output_activation": True}, (SEQUENCE,)),
    "TransformerBlock": Case(
        lambda: {
            "num_heads": 2,
            "cross_heads": 1,
            "mlp_ratio": 1.5,
            "dropout": 0.1,
            "qk_norm": "affine",
            "norm": False,
            "mlp_norm": False,
            "mlp_layers": 3,
            "output_activation": True,
        },
        (SEQUENCE, (2, 5, 4)),
    ),
    "AxialBlock": Case(
        lambda: {
            "num_heads": 3,
            "cross_heads": 2,
            "reserved_heads": 1,
            "parallel": True,
            "dropout": 0.1,
            "mlp_norm": False,
        },
        (PLACES, PLACES),
    ),
    "CrossFieldAttention": Case(
        lambda: {"num_heads": 2, "qk_norm": "plain", "head_dim": 3, "norm": False},
        (SEQUENCE, (2, 5, 4)),
    ),
    "CuboidTokenizer": Case(lambda: {"embed_dim": 5}, (GRID,)),
    "TemporalNeighbours": Case(
        lambda: {"scale": 0.5, "token_size": (2, 2, 2)}, (GRID,), always_float32=True
    ),
    "TokenInfo": Case(lambda: {"embed_dim": 5, "hidden": (6, 7)}, (GRID,), always_float32=True),
    "HarmonicPosition": Case(lambda: {"original_rows": True}, (GRID,)),
    "Encoder": Case(
        lambda: {
            "num_layers": 2,
            "block": c.blocks.AxialBlock(**_net(reserved_heads=2, mlp_norm=False)),
            "remat": True,
        },
        (PLACES,),
    ),
    "UNetDecoder": Case(
        lambda: {
            "num_layers": 3,
            "block": c.blocks.TransformerBlock(**_net(qk_norm="affine", mlp_layers=3)),
            "self_block": c.blocks.TransformerBlock(**_net(qk_norm="plain")),
            "cross_ratio": 1.0,
            "cross_rate": 0.5,
            "self_attention": True,
            "remat": True,
        },
        (SEQUENCE, [(2, 5, 16), (2, 5, 16)]),
    ),
    "LinearEnsemble": Case(
        lambda: {"num_members": 3, "token_values": 4}, ((2, 2, 3, 8),), always_float32=True
    ),
    "MLPEnsemble": Case(
        lambda: {"hidden_layers": 2, "num_members": 3, "token_values": 4},
        ((2, 2, 3, 8),),
        always_float32=True,
    ),
    "AtmoRep": Case(_model_arguments),
    "CoupledModel": Case(
        lambda: {
            "sources": ["one.keras", "two.keras"],
            "couplings": {"temperature": ["vorticity"]},
            "coupler": c.couplers.CrossFieldAttention(num_heads=2),
            "loss_weights": {"temperature": 0.5},
            "freeze": ("tail/*",),
        }
    ),
    "ExtendedModel": Case(
        lambda: {
            "model": "one.keras",
            "field": _field(couplings=["vorticity"]),
            "couple": "both",
            "like": None,
            "parts": {"tail": c.tails.LinearEnsemble(num_members=2)},
            "coupler": c.couplers.CrossFieldAttention(num_heads=2),
            "adapt": ("tail/vorticity/*",),
            "compare": False,
        }
    ),
    "Window": Case(lambda: {"shape": (4, 4, 8), "step_hours": 3.0}, use=repr),
    "FieldSpec": Case(
        lambda: {
            "name": "temperature",
            "levels": (500, 850.5),
            "token_size": (2, 4, 2),
            "window": Window((4, 4, 8)),
            "embed_dim": 32,
            "loss_weight": 0.5,
            "normalization": "grid_point",
            "couplings": ("vorticity", "u_component_of_wind"),
            "predicted": False,
        },
        use=lambda field: json.dumps(field.get_config()),
    ),
    "WindowDataset": Case(
        lambda: {
            "store": "a.zarr",
            "train_period": ("2020-01", "2020-02"),
            "validation_period": ("2020-03", "2020-03-05"),
            "samples_per_epoch": 10,
            "region": (-10, 20.5, 0, 40),
            "area_uniform": False,
            "threads": 1,
            "stores": {"temperature": "b.zarr"},
        },
        use=lambda dataset: json.dumps(vars(dataset)),
    ),
    "SlabDataset": Case(
        lambda: {
            "store": "a.zarr",
            "train_period": ("2020-01", "2020-02"),
            "validation_period": ("2020-03", "2020-03-05"),
            "samples_per_epoch": 10,
            "region": (-10, 20.5, 0, 40),
            "area_uniform": False,
            "threads": 1,
            "stores": {"temperature": "a.zarr"},
            "slab": (24, 60, 90),
            "patches": 10,
            "lanes": 8,
        },
        use=lambda dataset: json.dumps(vars(dataset)),
    ),
    "MonthlyNormalizer": Case(use=lambda normalizer: str(normalizer.state())),
    "AnyOf": Case(
        lambda: {
            "maskings": [c.maskings.Forecast(), c.maskings.Infill((2, 1, 2))],
            "shares": (1.0, 2.0),
            "weights": (0.5, 3.0),
        },
        use=_masking,
    ),
    "ComplementaryTokens": Case(lambda: {"parts": 3, "part": 1}, use=_masking),
    "Forecast": Case(lambda: {"num_tokens": 2}, use=_masking),
    "Infill": Case(lambda: {"size": (2, 1, 2)}, use=_masking),
    "MissingTokens": Case(lambda: {"slots": 3}, use=_masking),
    "TemporalInterpolation": Case(lambda: {"time_tokens": (1, 2)}, use=_masking),
    "RandomTokens": Case(
        lambda: {
            "ratio": (0.2, 0.8),
            "hidden": 0.2,
            "noised": 0.4,
            "coarsened": 0.3,
            "coarsen_factor": 2,
        },
        use=_masking,
    ),
    "OriginalTokens": Case(
        lambda: {"rate": 0.8, "hidden": 0.4, "noised": 0.3, "resampled": 0.2}, use=_masking
    ),
    "AlmostFairKernelCRPS": Case(lambda: {"alpha": 0.5, "name": "a_name"}, use=_loss),
    "EnsembleMSE": Case(lambda: {"name": "a_name"}, use=_loss),
    "GaussianCRPS": Case(lambda: {"name": "a_name", "original_constants": True}, use=_loss),
    "KernelCRPS": Case(lambda: {"name": "a_name"}, use=_loss),
    "LatitudeWeightedMSE": Case(lambda: {"name": "a_name"}, use=_loss),
    "MeanMSE": Case(lambda: {"name": "a_name"}, use=_loss),
    "StatisticalAreaLoss": Case(lambda: {"name": "a_name"}, use=_loss),
    "StatisticalLoss": Case(lambda: {"name": "a_name"}, use=_loss),
    "WeightedSum": Case(
        lambda: {
            "losses": [c.losses.EnsembleMSE(), c.losses.AlmostFairKernelCRPS(0.3)],
            "weights": [1.0, 3.0],
            "name": "a_name",
        },
        use=_loss,
    ),
    "LowRankAdapters": Case(
        lambda: {"patterns": ("encoder/*", "!*/mlp/*"), "rank": 2, "alpha": 4.0},
        use=lambda adapters: repr(adapters.get_config()),
    ),
    "WarmupDecay": Case(
        lambda: {
            "first": 0.1,
            "maximum": 0.9,
            "floor": 0.2,
            "warmup_steps": 5,
            "decay": 2.0,
            "decay_steps": 3,
        },
        use=lambda schedule: [schedule(step) for step in (0, 3, 5, 7, 90)],
    ),
    "Scoring": Case(
        lambda: {
            "maskings": {"forecast": c.maskings.Forecast(2)},
            "num_samples": 3,
            "batch_size": 2,
            "seed": 4,
        }
    ),
    "Watch": Case(
        lambda: {
            "maskings": {"forecast": c.maskings.Forecast(2)},
            "every": 5,
            "num_samples": 3,
            "batch_size": 2,
            "baselines": False,
            "seed": 4,
        }
    ),
    "MLflowLogger": Case(
        lambda: {"experiment": "winds", "tracking_uri": "sqlite:///a.db", "run_name": "first"}
    ),
    "WandbLogger": Case(
        lambda: {"project": "winds", "entity": "us", "run_name": "first", "mode": "offline"}
    ),
    "Mesh": Case(
        lambda: {
            "shape": (2, -1),
            "axes": ("samples", "weights"),
            "layout": {"*mlp/widen/kernel": (None, "weights")},
            "shard_optimizer": True,
        },
        use=lambda mesh: str(mesh.rules(AtmoRep(**_model_arguments()), (2, 2))),
    ),
    "Pretraining": Case(_pretraining_arguments),
    "TrainingSchedule": Case(
        lambda: {
            "steps": 9,
            "minutes": 2.5,
            "batch_size": 3,
            "steps_per_epoch": 4,
            "steps_per_execution": 1,
            "checkpoint_every": 6,
            "keep_checkpoints": 3,
            "best": "val_loss",
            "validation_batches": 2,
        },
        use=lambda schedule: str((schedule.spans(5), schedule.ends_epoch_with(3))),
    ),
}


def _entry(kinds):
    entries = [entry for entry in registry.entries() if kinds(entry)]
    return pytest.mark.parametrize("entry", entries, ids=[entry.name for entry in entries])


@pytest.fixture(autouse=True)
def _same_weights_each_time():
    keras.utils.set_random_seed(0)


every = _entry(lambda entry: True)
layers = _entry(lambda e: issubclass(e.cls, keras.layers.Layer) and e.cls is not AtmoRep)


def _case(entry) -> Case:
    if entry.name not in CASES:
        pytest.fail(
            f"the {entry.kind} {entry.name!r} has no case: add one to CASES in {__file__}, with "
            f"its constructor's arguments and with `inputs` (a layer) or `use` (all others)."
        )
    return CASES[entry.name]


def _make(entry, **changes):
    return entry.cls(**{**_case(entry).arguments(), **changes})


def test_every_case_is_of_a_component():
    assert sorted(CASES) == sorted(entry.name for entry in registry.entries())


@every
def test_docstring_and_annotations(entry):
    assert entry.description.endswith(".")
    for name, parameter in entry.parameters.items():
        assert parameter.annotation is not inspect.Parameter.empty, name
    if entry.parameters:
        documented = inspect.getdoc(entry.cls)
        missing = [n for n in entry.parameters if n != "name" and f"\n    {n}: " not in documented]
        assert not missing


@every
def test_arguments_fit_the_annotations_and_are_all_in_the_configuration(entry):
    hints = inspect.get_annotations(entry.cls.__init__, eval_str=True)
    for name, value in _case(entry).arguments().items():
        typeguard.check_type(value, hints[name])
    assert set(named_parameters(entry.cls)) <= set(_make(entry).get_config())


@every
def test_configuration_round_trip(entry):
    component = _make(entry)
    described = keras.saving.serialize_keras_object(component)
    assert described["registered_name"] == f"atmorep_k>{entry.name}"
    read = json.loads(json.dumps(described))
    again = keras.saving.deserialize_keras_object(read)
    assert type(again) is entry.cls
    assert json.dumps(keras.saving.serialize_keras_object(again)) == json.dumps(described)
    copy = entry.cls.from_config(component.get_config())
    assert json.dumps(keras.saving.serialize_keras_object(copy)) == json.dumps(described)


@pytest.mark.backend
@_entry(lambda e: not issubclass(e.cls, keras.layers.Layer))
def test_a_copy_does_the_same(entry):
    use, component = _case(entry).use, _make(entry)
    described = keras.saving.serialize_keras_object(component)
    copy = keras.saving.deserialize_keras_object(described)
    one, other = use(component), use(copy)
    if isinstance(one, str) or one is None:
        assert one == other
    else:
        assert_equal(one, other)


@pytest.mark.backend
@layers
def test_layer_in_a_saved_model(entry, randomize, tmp_path):
    inputs = random_arrays(_case(entry).inputs)
    symbols = keras.tree.map_structure(lambda a: keras.Input(a.shape[1:]), inputs)
    model = keras.Model(symbols, _make(entry)(*symbols))
    randomize(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert_equal(model(inputs), loaded(inputs))


def _compiled(layer, inputs):
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        values = [[v.value for v in vs] for vs in _variables(layer)]
        return jax.jit(lambda *x: layer.stateless_call(*values, *x)[0])(*inputs)
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.function(lambda *x: layer(*x), autograph=False)(*inputs)
    import torch

    with torch.no_grad():
        return layer(*inputs)


def _variables(layer):
    return layer.trainable_variables, layer.non_trainable_variables


@pytest.mark.backend
@layers
def test_compiled_layer_equals_eager(entry, randomize):
    layer, inputs = _make(entry), random_arrays(_case(entry).inputs)
    layer(*inputs)
    randomize(layer)
    assert_equal(layer(*inputs), _compiled(layer, inputs), tolerance=1e-5)


@pytest.mark.backend
@layers
def test_layer_in_mixed_precision(entry, randomize):
    case, exact, mixed = _case(entry), _make(entry), _make(entry, dtype="mixed_bfloat16")
    inputs = random_arrays(case.inputs)
    exact(*inputs), mixed(*inputs)
    randomize(exact)
    mixed.set_weights(exact.get_weights())
    expected = "float32" if case.always_float32 else "bfloat16"
    for output in keras.tree.flatten(mixed(*inputs)):
        assert keras.backend.standardize_dtype(output.dtype) == expected
    assert all(v.dtype == "float32" for v in mixed.trainable_variables)
    assert_equal(exact(*inputs), mixed(*inputs), tolerance=5e-2)


def _built(randomize, **changes):
    model = AtmoRep(**{**_model_arguments(), **changes})
    model.build()
    return randomize(model)


@pytest.mark.backend
def test_model_in_a_file(randomize, make_batch, tmp_path):
    model = _built(randomize)
    inputs, _, _ = make_batch(model.fields)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert_equal(model(inputs), loaded(inputs))


@pytest.mark.backend
def test_compiled_model_equals_eager(randomize, make_batch):
    model = _built(randomize)
    inputs, _, _ = make_batch(model.fields)
    assert_equal(model(inputs), _compiled(model, [inputs]), tolerance=1e-5)
    assert_equal(model(inputs), model.predict_on_batch(inputs), tolerance=1e-5)


@pytest.mark.backend
def test_model_in_mixed_precision(randomize, make_batch, tmp_path):
    exact = _built(randomize)
    mixed = _built(randomize, dtype="mixed_bfloat16")
    inputs, _, _ = make_batch(exact.fields)
    mixed.set_weights(exact.get_weights())
    assert keras.backend.standardize_dtype(mixed(inputs)["vorticity"].dtype) == "float32"
    assert_equal(exact(inputs), mixed(inputs), tolerance=5e-2)
    mixed.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.dtype_policy.name == "mixed_bfloat16"
    assert loaded.part("encoder", "vorticity").dtype_policy.name == "mixed_bfloat16"
    assert_equal(mixed(inputs), loaded(inputs))
