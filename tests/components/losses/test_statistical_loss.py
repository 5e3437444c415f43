import numpy as np
import pytest
from keras import ops

from atmorep_k.components.losses import StatisticalLoss

pytestmark = pytest.mark.backend


def reference(target, members):
    """The formula in float64, without any epsilon."""
    members = members.astype("float64")
    mean, std = members.mean(axis=-2), members.std(axis=-2, ddof=1)
    gaussian = np.exp(-np.square(target - mean) / (2 * std**2))
    return np.mean(np.square(gaussian - 1)) + np.mean(np.sqrt(std))


@pytest.mark.parametrize("spread", [1e-3, 0.03, 1.0, 30.0])
def test_closed_form(spread):
    rng = np.random.default_rng(2)
    members = (spread * rng.normal(size=(1, 2, 50, 8, 3))).astype("float32")
    target = (spread * rng.normal(size=(1, 2, 50, 3))).astype("float32")
    loss = float(ops.convert_to_numpy(StatisticalLoss()(target, members)))
    assert loss == pytest.approx(reference(target, members), rel=2e-6)


def test_asks_for_truth_in_the_middle_and_for_little_spread():
    members = np.array([-1.0, 0.0, 1.0], "float32").reshape(1, 1, 1, 3, 1)

    def loss(target, spread):
        at = np.full((1, 1, 1, 1), target, "float32")
        return float(ops.convert_to_numpy(StatisticalLoss()(at, spread * members)))

    assert loss(0.0, 1.0) < loss(0.5, 1.0) < loss(2.0, 1.0)
    assert loss(0.0, 0.5) < loss(0.0, 1.0)
