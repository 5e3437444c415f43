import numpy as np
import pytest
from keras import ops

from atmorep_k.components.losses import EnsembleMSE, LatitudeWeightedMSE
from atmorep_k.errors import UserError

pytestmark = pytest.mark.backend


def evaluate(loss, *arguments, **named):
    return float(ops.convert_to_numpy(loss(*arguments, **named)))


def test_weights_by_cosine_and_slot(ensemble):
    target, members = ensemble
    rng = np.random.default_rng(3)
    latitude = rng.uniform(-90, 90, size=target.shape).astype("float32")
    slots = rng.uniform(size=target.shape[:-1]).astype("float32")
    weight = np.cos(np.radians(latitude)) * slots[..., None]
    expected = np.average(np.square(members - target[..., None, :]).mean(-2), weights=weight)
    loss = evaluate(LatitudeWeightedMSE(), target, members, slots, latitude=latitude)
    assert loss == pytest.approx(expected, rel=1e-5)


def test_one_latitude_is_the_plain_score(ensemble):
    latitude = np.full(ensemble[0].shape, 60.0, "float32")
    loss = evaluate(LatitudeWeightedMSE(), *ensemble, latitude=latitude)
    assert loss == pytest.approx(evaluate(EnsembleMSE(), *ensemble), rel=1e-6)


def test_poles_do_not_count(ensemble):
    target, members = ensemble
    latitude = np.zeros(target.shape, "float32")
    latitude[:, :, 0], latitude[:, :, 1] = 90.0, -90.0
    loss = evaluate(LatitudeWeightedMSE(), target, members, latitude=latitude)
    rest = evaluate(EnsembleMSE(), target[:, :, 2:], members[:, :, 2:])
    assert loss == pytest.approx(rest, rel=1e-5)


def test_missing_latitude_is_refused(ensemble):
    with pytest.raises(UserError, match="latitude"):
        LatitudeWeightedMSE()(*ensemble)
