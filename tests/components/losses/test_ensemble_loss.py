"""What holds for every loss: weights, precision, symmetry, gradients, configuration."""

import json

import keras
import numpy as np
import pytest
from keras import ops

from atmorep_k.components import losses
from atmorep_k.components.losses.ensemble_loss import VARIANCE_EPSILON
from atmorep_k.errors import UserError

pytestmark = pytest.mark.backend

ALL = [
    losses.EnsembleMSE(),
    losses.MeanMSE(),
    losses.StatisticalLoss(),
    losses.StatisticalAreaLoss(),
    losses.GaussianCRPS(),
    losses.KernelCRPS(),
    losses.AlmostFairKernelCRPS(alpha=0.9),
    losses.LatitudeWeightedMSE(),
    losses.WeightedSum([losses.EnsembleMSE(), losses.StatisticalLoss()], [1.0, 0.5]),
]
OF_SPREAD = [loss for loss in ALL if not isinstance(loss, losses.EnsembleMSE | losses.MeanMSE)]
WITHOUT_VALUE_WEIGHT = [c for c in ALL if not isinstance(c, losses.LatitudeWeightedMSE)]
every_loss = pytest.mark.parametrize("loss", ALL, ids=lambda loss: type(loss).__name__)
every_loss_of_spread = pytest.mark.parametrize(
    "loss", OF_SPREAD, ids=lambda loss: type(loss).__name__
)


def evaluate(loss, target, members, weight=None):
    latitude = np.linspace(-80.0, 80.0, target.size, dtype="float32").reshape(target.shape)
    return float(ops.convert_to_numpy(loss(target, members, weight, latitude=latitude)))


def gradient_of(value_and_gradient, loss, target, members, weight=None):
    latitude = np.full(target.shape, 30.0, "float32")
    return value_and_gradient(lambda m: loss(target, m, weight, latitude=latitude), members)


def test_every_exported_loss_is_tested():
    tested = {type(loss) for loss in ALL} | {losses.EnsembleLoss}
    assert tested == {getattr(losses, name) for name in losses.__all__}


@pytest.mark.parametrize("loss", WITHOUT_VALUE_WEIGHT, ids=lambda loss: type(loss).__name__)
def test_loss_is_weighted_mean_of_score(loss, ensemble):
    target, members = ensemble
    weight = np.random.default_rng(0).uniform(size=target.shape[:-1]).astype("float32")
    score = ops.convert_to_numpy(loss.score(ops.array(target), ops.array(members)))
    assert score.shape == target.shape
    expected = np.average(score.mean(axis=-1), weights=weight)
    assert evaluate(loss, target, members, weight) == pytest.approx(expected, rel=1e-5)
    assert evaluate(loss, target, members) == pytest.approx(score.mean(), rel=1e-5)


@every_loss
@pytest.mark.parametrize("rubbish", [1e30, float("inf"), float("nan")])
def test_slots_of_weight_zero_do_not_matter(loss, rubbish, ensemble, value_and_gradient):
    target, members = ensemble
    weight = np.ones(target.shape[:-1], "float32")
    weight[:, :, 1::2] = 0.0
    kept = evaluate(loss, target, members, weight)
    clean = gradient_of(value_and_gradient, loss, target, members, weight)
    target, members = target.copy(), members.copy()
    target[:, :, 1::2], members[:, :, 1::2] = -rubbish, rubbish
    assert evaluate(loss, target, members, weight) == kept
    value, gradient = gradient_of(value_and_gradient, loss, target, members, weight)
    assert value == clean[0]
    np.testing.assert_array_equal(gradient, clean[1])
    assert not gradient[:, :, 1::2].any()
    assert gradient[:, :, ::2].any()


@every_loss
def test_no_weight_at_all_gives_zero(loss, ensemble, value_and_gradient):
    target, members = ensemble
    weight = np.zeros(target.shape[:-1], "float32")
    value, gradient = gradient_of(value_and_gradient, loss, target, members, weight)
    assert value == 0.0
    assert not gradient.any()


@every_loss
def test_order_of_members_does_not_matter(loss, ensemble, value_and_gradient):
    target, members = ensemble
    order = [3, 0, 5, 1, 4, 2]
    value, gradient = gradient_of(value_and_gradient, loss, target, members)
    other, permuted = gradient_of(value_and_gradient, loss, target, members[:, :, :, order])
    assert other == pytest.approx(value, rel=1e-6)
    np.testing.assert_allclose(permuted, gradient[:, :, :, order], rtol=1e-4, atol=1e-8)


@every_loss
def test_gradient_matches_finite_differences(loss, value_and_gradient):
    target = np.array([0.3, -0.4], "float32").reshape(1, 1, 1, 2)
    members = np.array([[-0.9, -1.2], [0.1, 0.2], [0.5, 0.9], [1.4, 1.3]], "float32")
    members = members.reshape(1, 1, 1, 4, 2)
    _, gradient = gradient_of(value_and_gradient, loss, target, members)
    step = 0.01
    for place in np.ndindex(members.shape):
        above, below = members.copy(), members.copy()
        above[place] += step
        below[place] -= step
        latitude = np.full(target.shape, 30.0, "float32")
        rise = loss(target, above, latitude=latitude) - loss(target, below, latitude=latitude)
        expected = float(ops.convert_to_numpy(rise)) / (2 * step)
        assert gradient[place] == pytest.approx(expected, abs=3e-4)
    assert abs(gradient).max() > 0.05


@every_loss
@pytest.mark.parametrize("distance", [0.0, 1e-6, 1.0, 1e6])
def test_gradient_of_equal_members_is_finite(loss, distance, value_and_gradient):
    members = np.full((1, 2, 3, 5, 4), 0.1, "float32")
    target = members[:, :, :, 0] + np.float32(distance)
    value, gradient = gradient_of(value_and_gradient, loss, target, members)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


@every_loss
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_low_precision_is_scored_in_float32(loss, dtype, ensemble):
    rounded = [ops.cast(ops.array(a), dtype) for a in ensemble]
    latitude = np.full(ensemble[0].shape, 30.0, "float32")
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(f"mixed_{dtype}")
    try:
        result = loss(*rounded, latitude=ops.cast(ops.array(latitude), dtype))
    finally:
        keras.config.set_dtype_policy(policy)
    assert keras.backend.standardize_dtype(result.dtype) == "float32"
    exact = loss(*[ops.cast(a, "float32") for a in rounded], latitude=latitude)
    assert float(ops.convert_to_numpy(result)) == float(ops.convert_to_numpy(exact))


@every_loss
def test_round_trip_of_configuration(loss, ensemble):
    described = keras.saving.serialize_keras_object(loss)
    again = keras.saving.deserialize_keras_object(json.loads(json.dumps(described)))
    assert type(again) is type(loss)
    assert keras.saving.serialize_keras_object(again) == described
    assert evaluate(again, *ensemble) == evaluate(loss, *ensemble)


@every_loss_of_spread
def test_one_member_is_refused(loss, ensemble, value_and_gradient):
    target, members = ensemble
    with pytest.raises(UserError, match=r"at least 2 members, not 1"):
        gradient_of(value_and_gradient, loss, target, members[:, :, :, :1])


def test_epsilon_of_variance_is_below_rounding():
    std = np.geomspace(1.001e-3, 1e3, 10_000)
    variance = np.square(std).astype("float32")
    np.testing.assert_array_equal(variance + np.float32(VARIANCE_EPSILON), variance)
