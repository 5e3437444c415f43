"""The fair continuous ranked probability score of an ensemble."""

import itertools

import keras
from keras import ops

from atmorep_k.components.losses.ensemble_loss import EnsembleLoss, num_members
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
