import numpy as np
import pytest
from keras import ops
from scipy import integrate, stats

from atmorep_k.components.losses import GaussianCRPS

pytestmark = pytest.mark.backend


def score(target, mean, std):
    """CRPS of two members that have this mean and unbiased standard deviation."""
    members = mean + std * np.array([-1.0, 1.0]) / np.sqrt(2)
    members = members.astype("float32").reshape(1, 1, 1, 2, 1)
    target = np.full((1, 1, 1, 1), target, "float32")
    return float(ops.convert_to_numpy(GaussianCRPS()(target, members)))


@pytest.mark.parametrize("target", [-4.0, 0.2, 1.1, 9.0])
@pytest.mark.parametrize("std", [0.3, 1.0, 2.5])
def test_matches_integral_of_squared_distance_of_distributions(target, std):
    mean = 0.2
    normal = stats.norm(mean, std)
    below = integrate.quad(lambda x: normal.cdf(x) ** 2, mean - 40 * std, target, limit=200)[0]
    above = integrate.quad(lambda x: normal.sf(x) ** 2, target, target + 60.0, limit=200)[0]
    assert score(target, mean, std) == pytest.approx(below + above, rel=1e-5)


def test_without_spread_it_is_the_absolute_error():
    members = np.full((1, 1, 1, 4, 1), 0.5, "float32")
    target = np.full((1, 1, 1, 1), 2.0, "float32")
    assert float(ops.convert_to_numpy(GaussianCRPS()(target, members))) == pytest.approx(1.5)


def test_is_proper():
    """Its mean over draws of the truth is least for the truth's mean and standard deviation."""
    truth = stats.norm.ppf((np.arange(4000) + 0.5) / 4000).astype("float32")
    target = truth.reshape(1, 1, -1, 1)

    def expected(mean, std):
        pair = mean + std * np.array([-1.0, 1.0], "float32") / np.sqrt(2)
        members = np.broadcast_to(pair.astype("float32")[:, None], (1, 1, 4000, 2, 1))
        return float(ops.convert_to_numpy(GaussianCRPS()(target, members)))

    best = expected(0.0, 1.0)
    assert best == pytest.approx(1 / np.sqrt(np.pi), abs=1e-3)
    for mean, std in [(0.2, 1.0), (-0.2, 1.0), (0.0, 0.8), (0.0, 1.2)]:
        assert expected(mean, std) > best + 1e-3
