"""What of a model is in its `.keras` file, and how files of older versions are brought in."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from atmorep_k.backend.replicas import is_random_state
from atmorep_k.errors import UserError
from atmorep_k.registry.former import modern_config

STATISTICS_FILE = "statistics.npz"

# Counts changes of the file: 1 (or no number) has a group of weights `field_<field>_<role>`, and
# encoders and decoders of former names; 2 has `field_<field>/<role>`.
FORMAT = 2

# What the mixin is mixed into: its methods override and call these.
if TYPE_CHECKING:
    from keras import Model as _Model
else:
    _Model = object


class KerasFile(_Model):
    """Mixin of a model: what Keras writes into its file and reads from it.

    That is the configuration, with all components; the weights, which Keras groups by the names of
    attributes; the states of dropout; and the statistics of each field, as an asset.
    """

    def get_config(self) -> dict[str, Any]:
        """Returns all that makes the architecture, fields included; weights are not in it."""
        serialize = keras.saving.serialize_keras_object
        return {
            "format": FORMAT,
            **super().get_config(),
            "fields": [serialize(f) for f in self.fields],
            **self.templates.get_config(),
            "encode": self.encode,
            "freeze": list(self.freeze),
            "provenance": self.provenance,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Returns the model that `get_config` described.

        Raises:
            UserError: for a format that this version does not know.
        """
        config = dict(config)
        written = config.pop("format", 1)
        check_format(written)
        config = modern_config(config) if written == 1 else config
        plain = ("name", "dtype", "trainable", "encode", "freeze", "provenance")
        objects = {
            key: value if key in plain else keras.saving.deserialize_keras_object(value)
            for key, value in config.items()
        }
        objects["dtype"] = keras.dtype_policies.get(config.get("dtype"))
        model = cls(**objects)
        model.format_read = written
        return model

    def get_build_config(self):
        """Returns nothing needed: shapes follow from the fields."""
        return {"fields": [f.name for f in self.fields]}

    def build_from_config(self, config):
        """Builds a model that is being loaded."""
        self.build()
        if self.format_read == 1:
            self._show_parts_as_format_1()

    def _show_parts_as_format_1(self) -> None:
        # Keras fills what it finds as attributes, by their names, and reports what it could fill
        # under none of its names. Past `__setattr__`, so that no layer is tracked twice. When the
        # model is saved, each layer comes by its new name first, and is written once.
        for name, network in self.networks.items():
            for role, layer in network.parts().items():
                self.__dict__.setdefault(f"field_{name}_{role}", layer)

    def get_compile_config(self):
        """Saves nothing of the compilation: an optimiser of one backend fails on another."""
        return None

    def save_own_variables(self, store):
        """Saves the states of dropout, which Keras leaves out and a resumed training needs."""
        for number, state in enumerate(_random_states(self)):
            store[f"random_{number}"] = state

    def load_own_variables(self, store):
        """Takes up the states of dropout, as far as the file has them."""
        for number, state in enumerate(_random_states(self)):
            if f"random_{number}" in store.keys():  # noqa: SIM118 (no mapping)
                state.assign(store[f"random_{number}"])

    def save_assets(self, directory):
        """Puts each field's normalisation statistics beside the weights."""
        arrays = {
            f"{name}/{key}": value
            for name, normalizer in self.normalizers.items()
            for key, value in normalizer.state().items()
        }
        np.savez_compressed(Path(directory) / STATISTICS_FILE, **arrays)

    def load_assets(self, directory):
        """Takes up the statistics that `save_assets` wrote."""
        with np.load(Path(directory) / STATISTICS_FILE) as arrays:
            for name, normalizer in self.normalizers.items():
                state = {k.split("/", 1)[1]: arrays[k] for k in arrays if k.split("/")[0] == name}
                if state:
                    normalizer.load_state(state)


def check_format(written: int) -> None:
    """Refuses a file that a later version wrote in a format not known here.

    Raises:
        UserError: names both formats.
    """
    if written > FORMAT:
        raise UserError(
            f"the model is in file format {written}, written by a later version of atmorep_k; this "
            f"version reads formats up to {FORMAT}: install the later one to open it."
        )


def _random_states(model):
    return [v for v in model.non_trainable_variables if is_random_state(v)]
