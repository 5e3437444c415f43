"""Continuous ranked probability scores of ensembles (Gneiting and Raftery 2007)."""

import itertools
import math

import keras
from keras import ops

from atmorep_k.components.losses.ensemble_loss import EnsembleLoss, mean_and_std, num_members
from atmorep_k.errors import UserError
from atmorep_k.registry import component


@component("loss")
class KernelCRPS(EnsembleLoss):
    """Fair CRPS of the members: mean |e_m - y| - 1 / (2 M (M - 1)) sum_ij |e_i - e_j|.

    Its expectation does not depend on the number of members M and is least where they are drawn
    from the distribution of the truth (Ferro 2014, doi:10.1002/qj.2270).
    """

    def score(self, target, members):
        """Returns the CRPS of each value; UserError for a single member."""
        number = num_members(members, self)
        errors = members - target[..., None, :]
        distance = ops.sum(_rank_differences(errors, number) * errors, axis=-2)
        spread = self.spread_factor(number) / (number * (number - 1)) * distance
        return ops.mean(ops.abs(errors), axis=-2) - spread

    def spread_factor(self, number: int) -> float:
        """Returns what multiplies the spread of `number` members."""
        return 1.0


def _rank_differences(members, number: int):
    """Returns, for each member, how many are smaller less how many are larger.

    Times the member and summed it is sum_{i<j} |e_i - e_j|; held constant it has the gradient of
    that sum. Against the (member, member) array of differences, or a sort with its scatter in the
    backward pass, it needs little memory and becomes one kernel under a compiler.
    """
    fixed = ops.stop_gradient(members)
    if keras.backend.backend() == "torch":
        return _rank_differences_of_pairs(fixed, number)
    differences = ops.zeros_like(fixed)
    for other in range(number):
        differences = differences + ops.sign(fixed - fixed[..., other : other + 1, :])
    return ops.stop_gradient(differences)


def _rank_differences_of_pairs(members, number: int):
    """Does the same with half the comparisons, which count where each is a kernel by itself."""
    members = ops.unstack(members, number, axis=-2)
    differences = [ops.zeros_like(members[0])] * number
    for one, other in itertools.combinations(range(number), 2):
        sign = ops.sign(members[one] - members[other])
        differences[one] = differences[one] + sign
        differences[other] = differences[other] - sign
    return ops.stack(differences, axis=-2)


@component("loss")
class AlmostFairKernelCRPS(KernelCRPS):
    """Mixture alpha * fair CRPS + (1 - alpha) * CRPS of the members as they are.

    The spread term of the fair score times 1 - (1 - alpha) / M (Lang et al. 2024, AIFS-CRPS,
    arXiv:2412.15832). The fair score alone does not see one member that runs away while all
    others sit at the truth.

    Args:
        alpha: 1 for the fair score, 0 for that of the empirical distribution.
        name: name of the loss.

    Raises:
        UserError: for alpha outside [0, 1].
    """

    def __init__(self, alpha: float = 0.95, name: str | None = None):
        super().__init__(name=name)
        if not 0.0 <= alpha <= 1.0:
            raise UserError(
                f"AlmostFairKernelCRPS.alpha is {alpha}; allowed are values from 0 to 1."
            )
        self.alpha = alpha

    def spread_factor(self, number: int) -> float:
        """Returns what multiplies the spread of `number` members."""
        return 1.0 - (1.0 - self.alpha) / number

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "alpha": self.alpha}


@component("loss")
class GaussianCRPS(EnsembleLoss):
    """CRPS of a Gaussian with the members' mean and standard deviation, in closed form.

    sigma (z (2 Phi(z) - 1) + 2 phi(z) - 1 / sqrt(pi)) with z = (y - mu) / sigma; Phi and phi are
    distribution and density of the standard normal (Gneiting & Raftery 2007, eq. 21,
    doi:10.1198/016214506000001437). sigma is unbiased and at least 1e-7, see `mean_and_std`.

    Args:
        original_constants: leave out the factor 1 / sqrt(2 pi) in Phi and phi, as the original's
            `crps` does by mistake: no proper score, only to compare with its numbers.
        name: name of the loss.
    """

    def __init__(self, original_constants: bool = False, name: str | None = None):
        super().__init__(name=name)
        self.original_constants = original_constants

    def score(self, target, members):
        """Returns the CRPS of each value; UserError for a single member."""
        mean, std = mean_and_std(members, self)
        z = (target - mean) / std
        factor = math.sqrt(2.0 * math.pi) if self.original_constants else 1.0
        twice_density = factor * math.sqrt(2.0 / math.pi) * ops.exp(-0.5 * ops.square(z))
        twice_distribution = factor * (1.0 + ops.erf(z / math.sqrt(2.0)))
        return std * (z * (twice_distribution - 1.0) + twice_density - 1.0 / math.sqrt(math.pi))

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "original_constants": self.original_constants}
