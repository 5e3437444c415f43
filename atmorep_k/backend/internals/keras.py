"""Private names of Keras: the values of variables, the layers in a layer, its global state."""

import sys
from typing import Any

import keras
from keras.src.backend.common import global_state
from keras.src.backend.common.name_scope import current_path
from keras.src.saving.keras_saveable import KerasSaveable
from keras.src.utils import module_utils

# KerasSaveable: what `save` and `load_weights` look into; only layers are public.
# current_path: the path of the layer that runs; Keras keeps it in a scope of names.
__all__ = [
    "KerasSaveable",
    "all_layers",
    "current_path",
    "dense_kernel",
    "forget_declared",
    "give_shape",
    "held_value",
    "layers_within",
    "leave_tensorflow_out",
    "place",
    "put_value",
    "record_loss",
    "renew",
    "stop_tracking",
    "weights_of_its_own",
]


def held_value(variable: keras.Variable) -> Any:
    """Return the tensor that a variable holds.

    `Variable.value` may be a cast, or what a stateless scope puts in its place.
    """
    return variable._value


def put_value(variable: keras.Variable, tensor: Any) -> None:
    """Let a variable hold another tensor, of any placement, shape and kind.

    `Variable.assign` copies into the tensor that is there, and keeps its placement.
    """
    variable._value = tensor


def give_shape(variable: keras.Variable, shape: tuple[int, ...]) -> None:
    """Let a variable report another shape: that of one device's shard. `shape` is read-only."""
    variable._shape = shape


def place(variable: keras.Variable, array: Any, layout: Any) -> None:
    """Let a variable of JAX hold an array, and later values lie as a layout says.

    Keras takes layouts from a scope only when a variable is made.
    """
    variable._layout = layout
    variable._value = array


def renew(variable: keras.Variable, array: Any) -> None:
    """Make the tensor of a variable again, in the active scope of devices."""
    variable._initialize(array)


def all_layers(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """Return a layer and all layers within it; `Model.layers` has the outermost only."""
    return layer._flatten_layers()


def layers_within(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """Return the outermost layers within a layer; only models have `layers`."""
    return layer._layers


def weights_of_its_own(layer: keras.layers.Layer) -> list[keras.Variable]:
    """Return the trained weights of a layer without those of the layers within it."""
    return layer._trainable_variables


def dense_kernel(layer: keras.layers.Dense) -> keras.Variable:
    """Return the kernel of a dense layer; `kernel` is the sum with its low-rank adapter."""
    return layer._kernel


def stop_tracking(layer: keras.layers.Layer, variable: keras.Variable) -> None:
    """Take a variable from a built layer, which Keras locks."""
    layer._untrack_variable(variable)


def forget_declared() -> None:
    """Leave variables made in a `StatelessScope` without values.

    Called at its end; Keras would allocate them when the scope is left.
    """
    global_state.set_global_attribute("uninitialized_variables", [])


def record_loss(model: keras.Model, loss: Any) -> None:
    """Add the loss of a step to the mean that `fit` logs."""
    model._loss_tracker.update_state(loss)


class _ImportedTensorFlow(module_utils.LazyModule):
    """TensorFlow as Keras sees it on another backend: available once someone has imported it."""

    @property
    def available(self):
        # An object of TensorFlow's can only exist if it was imported.
        return sys.modules.get("tensorflow") is not None and super().available


def leave_tensorflow_out() -> None:
    """Keep Keras from importing TensorFlow on another backend to ask whether it is there.

    It does so when it saves and when it seeds: seconds of imports, and log lines.
    """
    if keras.backend.backend() != "tensorflow":
        module_utils.tensorflow.__class__ = _ImportedTensorFlow
