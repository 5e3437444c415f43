import numpy as np
import pytest
from keras import ops

from atmorep_k.components.losses import (
    EnsembleMSE,
    KernelCRPS,
    LatitudeWeightedMSE,
    WeightedSum,
)
from atmorep_k.errors import UserError

pytestmark = pytest.mark.backend


def evaluate(loss, target, members):
    latitude = np.linspace(-80, 80, target.size, dtype="float32").reshape(target.shape)
    return float(ops.convert_to_numpy(loss(target, members, latitude=latitude)))


def test_is_weighted_mean_of_losses_with_weights_of_their_own(ensemble):
    parts = [EnsembleMSE(), LatitudeWeightedMSE(), KernelCRPS()]
    weights = [2.0, 1.0, 5.0]
    values = [evaluate(part, *ensemble) for part in parts]
    assert abs(values[0] - values[1]) > 1e-2
    loss = evaluate(WeightedSum(parts, weights), *ensemble)
    assert loss == pytest.approx(np.average(values, weights=weights), rel=1e-6)


def test_sums_can_be_nested(ensemble):
    inner = WeightedSum([EnsembleMSE(), KernelCRPS()], [1.0, 1.0])
    outer = WeightedSum([inner, KernelCRPS()], [2.0, 1.0])
    flat = WeightedSum([EnsembleMSE(), KernelCRPS()], [1.0, 2.0])
    assert evaluate(outer, *ensemble) == pytest.approx(evaluate(flat, *ensemble), rel=1e-6)
    again = WeightedSum.from_config(outer.get_config())
    assert evaluate(again, *ensemble) == evaluate(outer, *ensemble)


@pytest.mark.parametrize("weights", [[], [1.0], [1.0, 2.0, 3.0]])
def test_other_number_of_weights_is_refused(weights):
    with pytest.raises(UserError, match=f"2 losses and {len(weights)} weights"):
        WeightedSum([EnsembleMSE(), KernelCRPS()], weights)


def test_no_losses_are_refused():
    with pytest.raises(UserError, match="0 losses"):
        WeightedSum([], [])


@pytest.mark.parametrize("weights", [[0.0, 0.0], [-1.0, 2.0], [float("inf"), 1.0]])
def test_weights_that_make_no_mean_are_refused(weights):
    with pytest.raises(UserError, match="finite numbers >= 0"):
        WeightedSum([EnsembleMSE(), KernelCRPS()], weights)
