import numpy as np
import pytest
from keras import ops

from atmorep_k.components.losses import AlmostFairKernelCRPS, KernelCRPS
from atmorep_k.errors import UserError

pytestmark = pytest.mark.backend


def evaluate(loss, target, members):
    return float(ops.convert_to_numpy(loss(target, members)))


def scores_crps(target, members, method):
    """Mean CRPS by the package `scores`."""
    probability = pytest.importorskip("scores.probability")
    import xarray as xr

    dims = ("batch", "level", "masked", "value")
    forecast = xr.DataArray(members.astype("float64"), dims=(*dims[:3], "member", "value"))
    truth = xr.DataArray(target.astype("float64"), dims=dims)
    return float(probability.crps_for_ensemble(forecast, truth, "member", method=method))


def test_matches_double_sum(ensemble):
    target, members = (a.astype("float64") for a in ensemble)
    number = members.shape[-2]
    skill = np.abs(members - target[..., None, :]).mean()
    pairs = np.abs(members[..., None, :, :] - members[..., :, None, :]).sum(axis=(-2, -3))
    fair = skill - pairs.mean() / (2 * number * (number - 1))
    biased = skill - pairs.mean() / (2 * number**2)
    assert evaluate(KernelCRPS(), *ensemble) == pytest.approx(fair, rel=1e-6)
    for alpha in (0.0, 0.3, 0.95, 1.0):
        expected = alpha * fair + (1 - alpha) * biased
        loss = AlmostFairKernelCRPS(alpha=alpha)
        assert evaluate(loss, *ensemble) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("number", [2, 3, 16])
def test_matches_scores(number):
    rng = np.random.default_rng(number)
    target = rng.normal(size=(2, 1, 30, 4)).astype("float32")
    members = rng.normal(size=(2, 1, 30, number, 4)).astype("float32")
    fair, ecdf = (scores_crps(target, members, method) for method in ("fair", "ecdf"))
    assert evaluate(KernelCRPS(), target, members) == pytest.approx(fair, rel=1e-5)
    assert evaluate(AlmostFairKernelCRPS(0.0), target, members) == pytest.approx(ecdf, rel=1e-5)


def test_gradient_of_spread_is_the_exact_one(value_and_gradient):
    """Each member is driven off the others by 1 / (M (M - 1)) per neighbour on its side."""
    members = np.array([0.0, 1.0, 3.0, 7.0], "float32").reshape(1, 1, 1, 4, 1)
    target = np.full((1, 1, 1, 1), 10.0, "float32")
    _, gradient = value_and_gradient(lambda m: KernelCRPS()(target, m), members)
    error = np.full(4, -1 / 4)
    spread = np.array([-3, -1, 1, 3]) / (4 * 3)
    np.testing.assert_allclose(gradient.ravel(), error - spread, atol=1e-7)


def test_equal_members_have_equal_gradients(value_and_gradient):
    members = np.array([1.0, 1.0, 4.0], "float32").reshape(1, 1, 1, 3, 1)
    target = np.zeros((1, 1, 1, 1), "float32")
    _, gradient = value_and_gradient(lambda m: KernelCRPS()(target, m), members)
    np.testing.assert_allclose(gradient.ravel(), [1 / 3 + 1 / 6, 1 / 3 + 1 / 6, 1 / 3 - 1 / 3])


@pytest.mark.parametrize("number", [2, 8])
def test_fair_score_is_proper(number):
    rng = np.random.default_rng(5)
    shape = (1, 1, 20_000, number, 1)
    target = rng.normal(size=(1, 1, 20_000, 1)).astype("float32")
    draws = rng.normal(size=shape).astype("float32")
    best = evaluate(KernelCRPS(), target, draws)
    assert best == pytest.approx(1 / np.sqrt(np.pi), abs=0.02)
    for changed in (draws + 0.5, draws - 0.5, 1.6 * draws, 0.5 * draws):
        assert evaluate(KernelCRPS(), target, changed) > best + 0.01


def test_only_the_fair_score_does_not_depend_on_the_number_of_members():
    rng = np.random.default_rng(6)
    target = rng.normal(size=(1, 1, 20_000, 1)).astype("float32")
    many = rng.normal(size=(1, 1, 20_000, 16, 1)).astype("float32")
    few = many[:, :, :, :2]
    fair, biased = KernelCRPS(), AlmostFairKernelCRPS(alpha=0.0)
    assert evaluate(fair, target, few) == pytest.approx(evaluate(fair, target, many), abs=0.02)
    assert evaluate(biased, target, few) > evaluate(biased, target, many) + 0.2


def test_almost_fair_score_calls_back_a_member_that_runs_away():
    """All others at the truth: for the fair score the last member may be anywhere."""
    target = np.zeros((1, 1, 1, 1), "float32")
    near, far = (np.array([0.0, 0, 0, x], "float32").reshape(1, 1, 1, 4, 1) for x in (1.0, 9.0))
    assert evaluate(KernelCRPS(), target, far) == evaluate(KernelCRPS(), target, near) == 0.0
    almost = AlmostFairKernelCRPS(alpha=0.95)
    assert evaluate(almost, target, far) > evaluate(almost, target, near) > 0.0


def test_alpha_one_is_the_fair_score(ensemble):
    assert evaluate(AlmostFairKernelCRPS(1.0), *ensemble) == evaluate(KernelCRPS(), *ensemble)


@pytest.mark.parametrize("alpha", [-0.1, 1.5, float("nan")])
def test_alpha_out_of_range_is_refused(alpha):
    with pytest.raises(UserError, match="from 0 to 1"):
        AlmostFairKernelCRPS(alpha=alpha)
