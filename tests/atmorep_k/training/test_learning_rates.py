"""Learning rates of parts: against closed forms, and against an optimiser for each part."""

import keras
import numpy as np
import pytest
from keras import ops, optimizers

from atmorep_k.components import couplers, losses, schedules
from atmorep_k.errors import UserError
from atmorep_k.training.learning_rates import with_factors

pytestmark = pytest.mark.backend

FACTORS = {"old/*": 0.25, "new/*": 10.0, "*/bias": 1.0}
FACTOR = {"old/kernel": 0.25, "old/bias": 1.0, "new/kernel": 10.0, "other": 1.0}
GRADIENTS = [np.random.default_rng(1).normal(size=(3, 2)) for _ in FACTOR]


def make_variables():
    rng, made = np.random.default_rng(0), []
    for path in FACTOR:
        scopes = ["model", *path.split("/")]
        with keras.name_scope(scopes[0]), keras.name_scope(scopes[-2]):
            value = rng.normal(size=(3, 2)).astype("float32")
            made.append(keras.Variable(value, name=scopes[-1]))
    made[-1]._path = "model/other"
    return dict(zip(FACTOR, made, strict=True))


def numbers(variables):
    return {path: ops.convert_to_numpy(v).copy() for path, v in variables.items()}


def step(optimizer, variables, gradients=GRADIENTS):
    optimizer.apply([ops.convert_to_tensor(g, "float32") for g in gradients], [*variables.values()])


def changes(optimizer, gradients=GRADIENTS):
    """Returns how far one step of an optimiser with factors moves each weight."""
    variables = make_variables()
    before = numbers(variables)
    step(with_factors(optimizer, FACTORS, [*variables.values()]), variables, gradients)
    return {path: after - before[path] for path, after in numbers(variables).items()}


def test_paths_are_what_the_patterns_are_for():
    assert [v.path for v in make_variables().values()] == [f"model/{path}" for path in FACTOR]


def test_a_step_of_gradient_descent_is_longer_by_the_factor():
    for (path, change), gradient in zip(
        changes(optimizers.SGD(0.01)).items(), GRADIENTS, strict=True
    ):
        np.testing.assert_allclose(change, -0.01 * FACTOR[path] * gradient, rtol=1e-5, atol=1e-7)


def test_the_first_step_of_adam_is_rate_times_factor_whatever_the_gradient():
    for (path, change), gradient in zip(
        changes(optimizers.Adam(0.01)).items(), GRADIENTS, strict=True
    ):
        np.testing.assert_allclose(change, -0.01 * FACTOR[path] * np.sign(gradient), rtol=1e-4)


def test_gradients_are_clipped_by_the_norm_of_all():
    norm = np.sqrt(sum((g**2).sum() for g in GRADIENTS))
    for (path, change), gradient in zip(
        changes(optimizers.SGD(0.01, global_clipnorm=0.5)).items(), GRADIENTS, strict=True
    ):
        expected = -0.01 * FACTOR[path] * gradient * 0.5 / norm
        np.testing.assert_allclose(change, expected, rtol=1e-4, atol=1e-7)


def test_the_decay_of_weights_is_multiplied_too_and_exclusions_are_kept():
    before = numbers(make_variables())
    optimizer = optimizers.AdamW(0.01, weight_decay=0.1)
    optimizer.exclude_from_weight_decay(var_names=["bias", "other"])  # all whose factor is 1
    for path, change in changes(optimizer, [np.zeros((3, 2))] * 4).items():
        decayed = path.endswith("kernel")
        expected = -before[path] * 0.1 * 0.01 * FACTOR[path] * decayed
        np.testing.assert_allclose(change, expected, rtol=2e-3, atol=1e-7)


OPTIMIZERS = {
    "SGD": {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
    "Adam": {"clipnorm": 1.0},
    "AdamW": {"weight_decay": 0.1, "use_ema": True, "ema_overwrite_frequency": 2},
    "Lion": {},
    "Muon": {},
    "RMSprop": {"gradient_accumulation_steps": 2},
    "Nadam": {},
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_parts_move_as_if_each_had_an_optimizer_of_its_own(name):
    if name == "Nadam" and keras.backend.backend() == "torch":
        pytest.skip("refused there")
    make = lambda factor: getattr(optimizers, name)(  # noqa: E731
        schedules.WarmupDecay(0.01 * factor, 0.03 * factor, warmup_steps=2), **OPTIMIZERS[name]
    )
    together, apart = make_variables(), make_variables()
    one = with_factors(make(1.0), FACTORS, [*together.values()])
    several = {path: make(factor) for path, factor in FACTOR.items()}
    for number in range(4):
        gradients = [g * (-0.7) ** number for g in GRADIENTS]
        step(one, together, gradients)
        for (path, optimizer), gradient in zip(several.items(), gradients, strict=True):
            step(optimizer, {path: apart[path]}, [gradient])
    for path, value in numbers(together).items():
        np.testing.assert_allclose(value, numbers(apart)[path], rtol=1e-5, atol=1e-6)


def test_rate_state_and_configuration_are_those_of_the_optimizer():
    schedule = schedules.WarmupDecay(0.1, 0.5, warmup_steps=4)
    variables = make_variables()
    plain = optimizers.AdamW(schedule, weight_decay=0.1, name="mine")
    one = with_factors(plain, FACTORS, [*variables.values()])
    assert isinstance(one, type(plain)) and not plain.built
    assert one.get_config() == plain.get_config()
    step(one, variables)
    step(plain, make_variables())
    for optimizer in (one, plain):
        assert int(optimizer.iterations) == 1
        assert float(optimizer.learning_rate) == pytest.approx(float(schedule(1)))
    assert [v.path for v in one.variables] == [v.path for v in plain.variables]


def test_without_factors_it_is_the_same_optimizer():
    plain = optimizers.SGD()
    assert with_factors(plain, {}, [*make_variables().values()]) is plain


@pytest.mark.parametrize("factor", [0, -1.0, float("inf"), float("nan")])
def test_a_factor_is_above_zero(factor):
    with pytest.raises(UserError, match=r"above 0.*AtmoRep\.freeze"):
        with_factors(optimizers.SGD(), {"old/*": factor}, [*make_variables().values()])


@pytest.mark.parametrize(
    ("pattern", "said"),
    [("odl/*", "no trained weight .*'odl/.'; did you mean 'old/.'"), ("!old/*", "'old/.' the fac")],
)
def test_a_pattern_that_chooses_nothing_is_refused(pattern, said):
    with pytest.raises(UserError, match=said):
        with_factors(optimizers.SGD(), {"*": 2.0, pattern: 2.0}, [*make_variables().values()])


def test_an_optimizer_of_several_is_refused():
    several = optimizers.LossScaleOptimizer(optimizers.SGD())
    with pytest.raises(UserError, match="LossScaleOptimizer"):
        with_factors(several, FACTORS, [*make_variables().values()])


@pytest.fixture
def train(make_model, make_field, make_batch):
    """Function (steps, factors, checkpoint, start) that trains two coupled fields."""
    fields = [make_field("vorticity"), make_field(couplings=["vorticity"])]
    batches = [make_batch(fields, seed=number) for number in range(4)]

    def run(stop, factors, checkpoint=None, start=0):
        keras.utils.set_random_seed(3)
        model = make_model(fields, coupler=couplers.CrossFieldAttention(num_heads=2))
        model.build()
        schedule = schedules.WarmupDecay(1e-3, 1e-2, warmup_steps=3)
        optimizer = optimizers.AdamW(schedule, weight_decay=0.1, global_clipnorm=0.1)
        optimizer = with_factors(optimizer, factors, model.trainable_variables)
        loss, model.traces = losses.EnsembleMSE(), 0

        def counted(*args, **kwargs):
            model.traces += 1
            return loss(*args, **kwargs)

        model.compile(optimizer=optimizer, loss=counted)
        optimizer.build(model.trainable_variables)
        if checkpoint:
            model.load_weights(checkpoint)
        model.history_of_loss = [
            float(model.train_on_batch(*batch, return_dict=True)["loss"])
            for batch in batches[start:stop]
        ]
        return model

    return run


@pytest.mark.slow
def test_a_resumed_training_repeats_the_numbers(train, tmp_path):
    factors = {"*/coupled_*": 10.0, "tail/*": 0.1}
    whole = train(4, factors)
    train(2, factors).save(tmp_path / "half.keras")
    resumed = train(4, factors, tmp_path / "half.keras", start=2)
    assert resumed.history_of_loss == whole.history_of_loss[2:]
    for one, other in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    plain = train(4, {})
    assert plain.history_of_loss[0] == whole.history_of_loss[0]
    assert plain.history_of_loss[3] != whole.history_of_loss[3]
    assert whole.traces == plain.traces
