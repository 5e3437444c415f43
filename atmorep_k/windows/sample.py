"""What a dataset gives for one window."""

import dataclasses

from atmorep_k.fields import Position
from atmorep_k.windows.arrays import Arrays


@dataclasses.dataclass(frozen=True)
class Sample:
    """One window: where it is, what is there, what a model sees of it and is to predict.

    Args:
        position: where it lies in the store.
        cubes: field -> physical values `(level, time, lat, lon)`, nothing masked; all fields.
        inputs: as `atmorep_k.batch` says, without the batch axis.
        targets: predicted field -> `(level, masked, value)`.
        weights: predicted field -> `(level, masked)`.
    """

    position: Position
    cubes: Arrays
    inputs: Arrays
    targets: Arrays
    weights: Arrays
