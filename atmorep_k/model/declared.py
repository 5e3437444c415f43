"""Models whose weights are declared and not allocated: their paths, shapes and number."""

import math

import keras

from atmorep_k.backend.internals.keras import forget_declared
from atmorep_k.model import AtmoRep
from atmorep_k.registry import clone


def declared(model: AtmoRep) -> AtmoRep:
    """Returns a copy of a model that is built, but none of whose weights is allocated."""
    copy = clone(model)
    with keras.StatelessScope():
        copy.build()
        forget_declared()
    return copy


def count_parameters(model: AtmoRep) -> int:
    """Returns the number of weights, frozen ones too, without allocating any of them."""
    return sum(math.prod(weight.shape) for weight in declared(model).weights)
