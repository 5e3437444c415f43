"""Blocks as options of other layers, which make their own like them."""

from typing import Any, Self

import keras

from atmorep_k.registry import Configured, clone

# What belongs to a layer that is made, and not to what it is made like.
_OWN = ("name", "trainable", "dtype")


class Template:
    """A layer that others are made like.

    No layer itself: Keras would track it, find that it is never built, and trace the whole model
    again in each call of `fit` or `train_on_batch`.

    Args:
        layer: not built; its name and dtype do not count.
    """

    def __init__(self, layer: keras.layers.Layer):
        self.layer = layer

    def make(self, **changes) -> keras.layers.Layer:
        """Returns a new layer, changed as asked."""
        return clone(self.layer, **changes)

    def serialized(self) -> dict[str, Any]:
        """Returns what JSON can hold, the same for templates that are alike."""
        described = keras.saving.serialize_keras_object(self.layer)
        config = {k: v for k, v in described["config"].items() if k not in _OWN}
        return {**described, "config": config, "build_config": None}


class Templated(Configured, keras.layers.Layer):
    """Base of layers of whose options some are templates."""

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, templates serialised."""
        return {
            name: value.serialized() if isinstance(value, Template) else value
            for name, value in super().get_config().items()
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Returns the layer that `get_config` described."""
        made = {
            name: keras.saving.deserialize_keras_object(value)
            for name, value in config.items()
            if name != "dtype" and isinstance(value, dict) and "class_name" in value
        }
        return super().from_config({**config, **made})
