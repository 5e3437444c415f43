import numpy as np
import pytest
from keras import ops

from atmorep_k.components.losses import EnsembleMSE, MeanMSE

pytestmark = pytest.mark.backend


def test_closed_form(ensemble):
    target, members = ensemble
    expected = np.mean(np.square(members.astype("float64") - target[..., None, :]))
    assert float(ops.convert_to_numpy(EnsembleMSE()(target, members))) == pytest.approx(expected)


def test_is_mean_mse_plus_biased_variance(ensemble):
    target, members = ensemble
    both = float(ops.convert_to_numpy(EnsembleMSE()(target, members)))
    mean = float(ops.convert_to_numpy(MeanMSE()(target, members)))
    assert both == pytest.approx(mean + members.var(axis=-2).mean(), rel=1e-5)


def test_one_member_is_the_plain_squared_error(ensemble):
    target, members = ensemble
    single = members[:, :, :, :1]
    expected = np.mean(np.square(single[:, :, :, 0] - target))
    for loss in (EnsembleMSE(), MeanMSE()):
        assert float(ops.convert_to_numpy(loss(target, single))) == pytest.approx(expected)
