"""Learning rates of parts: an optimiser whose steps are longer or shorter for some weights.

Keras's `MultiOptimizer` is not used: it clips the gradients of each part by a norm of their own,
has no `learning_rate` to read, and keeps the state of each part in another order.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import keras

from atmorep_k.backend.internals.optimizers import decays, key_of
from atmorep_k.backend.weight_paths import check_patterns, last_match, path_in_model
from atmorep_k.errors import UserError


def with_factors(
    optimizer: keras.optimizers.Optimizer,
    factors: Mapping[str, float],
    variables: Sequence[keras.Variable],
) -> keras.optimizers.Optimizer:
    """Return an optimiser that multiplies its learning rate for the weights that patterns choose.

    It is of a subclass of the optimiser's own class, with its configuration, and keeps the same
    state; `learning_rate` and `iterations` are as before. Gradients are clipped as before, over all
    weights. Decay of weights is multiplied likewise, as it is proportional to the learning rate.

    Args:
        optimizer: any of Keras that is not built yet; it is left as it is.
        factors: pattern over paths of weights (see `atmorep_k.backend.weight_paths`) -> factor;
            the last pattern that fits a weight decides, weights that none fits keep the learning
            rate.
        variables: all weights that will be trained.

    Raises:
        UserError: if a factor is not above 0, a pattern fits no weight or takes back (`!`), or
            the optimiser is one of several.
    """
    _check(optimizer, factors, variables)
    if not factors:
        return optimizer
    kind = type(optimizer)
    made = copied(optimizer, type(kind.__name__, (_Factors, kind), {}))
    made.factors = MappingProxyType(dict(factors))
    return made


def copied(
    optimizer: keras.optimizers.Optimizer, kind: type[keras.optimizers.Optimizer] | None = None
) -> keras.optimizers.Optimizer:
    """Return a new optimiser with the configuration of another, of its class or a subclass."""
    made = (kind or type(optimizer)).from_config(optimizer.get_config())
    # What is excluded from the decay of weights is no part of the configuration.
    for name, value in vars(optimizer).items():
        if name.startswith("_exclude_from_weight_decay"):
            setattr(made, name, value)
    return made


# What the mixin is mixed into: its methods override and call these.
if TYPE_CHECKING:
    from keras.optimizers import Optimizer as _Optimizer
else:
    _Optimizer = object


class _Factors(_Optimizer):
    """Mixin that gives an optimizer a learning rate for each group of weights."""

    factors: Mapping[str, float]  # set when it is made
    _factor = 1.0  # of the part whose weights are being decayed

    def build(self, variables):
        """Make the state; finds the factor of each weight, once."""
        super().build(variables)
        # No plain dict: Keras would track it as state.
        self._by_variable = MappingProxyType(
            {key_of(self, v): _factor(path_in_model(v.path), self.factors) for v in variables}
        )

    def update_step(self, gradient, variable, learning_rate):
        """Updates one weight."""
        rate = _times(learning_rate, self._by_variable[key_of(self, variable)])
        super().update_step(gradient, variable, rate)

    def _parallel_update_step(self, grads, variables, learning_rate):
        # PyTorch: most optimisers update a list of weights by few calls, and never one by one.
        for factor, chosen in self._parts(variables):
            part = [grads[i] for i in chosen], [variables[i] for i in chosen]
            super()._parallel_update_step(*part, _times(learning_rate, factor))

    def _apply_weight_decay(self, variables):
        # PyTorch refuses an empty list, as a part would be that has no decay.
        decayed = [v for v in variables if decays(self, v)]
        for factor, chosen in self._parts(decayed):
            self._factor = factor
            super()._apply_weight_decay([decayed[i] for i in chosen])
            self._factor = 1.0

    def _get_current_learning_rate(self):
        # Keras decays weights by this rate; `_factor` is not 1 only while a part decays.
        return _times(super()._get_current_learning_rate(), self._factor)

    def _parts(self, variables) -> Iterable[tuple[float, list[int]]]:
        """Return each factor that occurs, with the places of its weights in the list."""
        parts: dict[float, list[int]] = {}
        for place, variable in enumerate(variables):
            factor = self._by_variable[key_of(self, variable)]
            parts.setdefault(factor, []).append(place)
        return parts.items()


def _factor(path: str, factors: Mapping[str, float]) -> float:
    pattern = last_match(path, factors)
    return 1.0 if pattern is None else float(factors[pattern])


def _times(rate, factor: float):
    return rate if factor == 1 else rate * factor


def _check(
    optimizer: keras.optimizers.Optimizer,
    factors: Mapping[str, float],
    variables: Sequence[keras.Variable],
) -> None:
    for pattern, factor in factors.items():
        if not 0 < factor < math.inf:
            raise UserError(
                f"the learning rate of {pattern!r} cannot be multiplied by {factor}: a factor "
                f"must be above 0. To freeze weights, use AtmoRep.freeze."
            )
        if pattern.startswith("!"):
            raise UserError(
                f"invalid pattern {pattern!r} of learning rates: give {pattern[1:]!r} the factor "
                f"1, after the others."
            )
    check_patterns(factors, [path_in_model(v.path) for v in variables], "trained weight")
    refused = ["MultiOptimizer", "LossScaleOptimizer"]
    if keras.backend.backend() == "torch":
        refused.append("Nadam")  # each call for a list moves on a number that all lists share
    for name in refused if factors else ():
        if isinstance(optimizer, getattr(keras.optimizers, name)):
            raise UserError(
                f"the optimiser {name} does not support different learning rates for parts; choose "
                f"another, such as AdamW."
            )
