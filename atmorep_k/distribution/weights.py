"""What engines ask about weights: their slots, and whether attention heads stay whole."""

from collections.abc import Sequence
from typing import Any

import keras

from atmorep_k.backend.internals.keras import all_layers
from atmorep_k.backend.internals.optimizers import weights_of
from atmorep_k.backend.weight_paths import path_in_model
from atmorep_k.errors import UserError
from atmorep_k.model.declared import declared


def slots(optimizer: keras.optimizers.Optimizer) -> list[tuple[Any, Any]]:
    """Return the slots of a built optimizer, each with its weight.

    Keras has no public map from slots to weights. Each kind of slot (`_momentums`) is a list
    attribute in the order of the weights, so any list of variables of that length is one.
    """
    weights = weights_of(optimizer)
    kept = {id(v) for v in optimizer.variables}
    return [
        (slot, weight)
        for name, values in vars(optimizer).items()
        if isinstance(values, list) and len(values) == len(weights) and name != "_variables"
        for slot, weight in zip(values, weights, strict=True)
        if id(slot) in kept
    ]


def dimension_to_share(shape: Sequence[int], axes: Sequence[str | None], number: int) -> int | None:
    """Return the first unsplit dimension that divides evenly, or None.

    Args:
        shape: of a slot.
        axes: the axis that each dimension is split over, or None; may end early.
        number: of devices along the axis of samples, over which an optimiser is sharded.
    """
    axes = (*axes, *[None] * (len(shape) - len(axes)))
    whole = [n for n, axis in enumerate(axes) if axis is None and shape[n] % number == 0]
    return whole[0] if whole else None


def check_heads(model: Any, rules: dict[str, tuple], devices: int) -> None:
    """Check that attention is split by whole heads only.

    Args:
        model: not yet built.
        rules: see `Mesh.rules`.
        devices: along the axis of the model.

    Raises:
        UserError: names a weight whose heads do not divide.
    """
    for layer in all_layers(declared(model)):
        # Between the projections of a head its channels must be on one device.
        number = getattr(layer, "num_heads", None)
        if number is None or number % devices == 0:
            continue
        if split := [p for p in (path_in_model(w.path) for w in layer.weights) if p in rules]:
            raise UserError(
                f"{split[0]} belongs to {number} heads, which cannot be spread over {devices} "
                f"devices of the axis of the model: choose a Mesh.shape that divides them, or "
                f"a different number of heads."
            )
