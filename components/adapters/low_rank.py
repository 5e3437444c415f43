"""Low-rank adapters: chosen dense layers of a model learn a small change of their kernels.

A kernel W becomes W + alpha / rank * A B and is frozen; A (input, rank) starts at random, B
(rank, output) at zero, both are trained (LoRA, Hu et al. 2021, arXiv:2106.09685). The layers do it
themselves (`keras.layers.Dense.enable_lora`); here they are chosen, kept in checkpoints and merged.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import keras
import numpy as np

from atmorep_k.backend.internals.keras import (
    KerasSaveable,
    all_layers,
    dense_kernel,
    stop_tracking,
)
from atmorep_k.backend.weight_paths import check_patterns, matches, path_in_model
from atmorep_k.errors import UserError


def attach(model: keras.Model, patterns: Sequence[str], rank: int, alpha: float) -> None:
    """Gives chosen dense layers of a built model adapters; what it predicts is unchanged.

    It comes before the optimiser is built. Biases stay as they are. The start of A follows from
    `keras.utils.set_random_seed`.

    Args:
        model: has no adapters yet. It gets the attribute `low_rank`, with which `model.save` and
            `model.load_weights` keep the exact state of the adapters.
        patterns: over paths of kernels, see `atmorep_k.backend.weight_paths`. Tails have no
            dense layers.
        rank: the number of columns of A and of rows of B.
        alpha: the change is multiplied by alpha / rank.

    Raises:
        UserError: if a pattern fits no kernel of a dense layer, or none is chosen.
    """
    layers = {path_in_model(dense_kernel(layer).path): layer for layer in _dense_layers(model)}
    check_patterns(patterns, layers, "kernel of a dense layer")
    chosen = {path: layer for path, layer in layers.items() if matches(path, patterns)}
    if not chosen:
        raise UserError(
            f"adapters of {list(patterns)} adapt no layer: every layer is excluded again."
        )
    model.low_rank = _LowRank(chosen, rank, alpha)
    _forget_compiled(model)


def detach(model: keras.Model) -> None:
    """Merges the adapters into the kernels and removes them: from then on a plain model is saved.

    Kernels can be trained again where they could before.
    """
    model.low_rank.merge()
    model.low_rank = None
    _forget_compiled(model)


def _dense_layers(model: keras.Model) -> list[keras.layers.Dense]:
    return [layer for layer in all_layers(model) if isinstance(layer, keras.layers.Dense)]


def _forget_compiled(model: keras.Model) -> None:
    # What was traced computes with the weights that the layers had then.
    model.train_function = model.test_function = model.predict_function = None


class _LowRank(KerasSaveable):
    """The adapters of a model: kernels, A and B by path.

    Keras itself saves the merged kernel of a layer with an adapter, and loads it with A = B = 0,
    for which all gradients vanish. It loads attributes in the order of their names: as `low_rank`
    this comes after the layers, which are `field_...`, and puts back what they really had.
    """

    def __init__(self, layers: Mapping[str, keras.layers.Dense], rank: int, alpha: float):
        # No plain dict: Keras would save the layers again.
        self.layers = MappingProxyType(dict(layers))
        self.trained = MappingProxyType({p: dense_kernel(d).trainable for p, d in layers.items()})
        for layer in layers.values():
            layer.enable_lora(rank, lora_alpha=alpha)

    def _obj_type(self) -> str:
        return "Layer"

    def variables(self) -> dict[str, keras.Variable]:
        """Returns kernels, A and B by name (no slashes: a file would make folders of them)."""
        return {
            f"{path}/{part}".replace("/", "."): variable
            for path, layer in self.layers.items()
            for part, variable in (
                ("frozen", dense_kernel(layer)),
                ("a", layer.lora_kernel_a),
                ("b", layer.lora_kernel_b),
            )
        }

    def save_own_variables(self, store):
        """Saves kernels without their change, A and B."""
        for name, variable in self.variables().items():
            store[name] = variable

    def load_own_variables(self, store):
        """Takes up kernels, A and B.

        Raises:
            UserError: if the file does not have the same adapters.
        """
        ours = {name: tuple(variable.shape) for name, variable in self.variables().items()}
        theirs = {name: tuple(store[name].shape) for name in store.keys()}  # noqa: SIM118
        if ours != theirs:
            differing = sorted(name for name, _ in ours.items() ^ theirs.items())
            raise UserError(
                f"the file has other adapters than the model, which differ in {differing[0]!r}."
            )
        for name, variable in self.variables().items():
            variable.assign(store[name])

    def merge(self) -> None:
        """Makes each layer a plain one whose kernel is W + alpha / rank * A B."""
        for path, layer in self.layers.items():
            kernel = dense_kernel(layer)
            a, b, frozen = map(_exact, (layer.lora_kernel_a, layer.lora_kernel_b, kernel))
            kernel.assign(frozen + layer.lora_alpha / layer.lora_rank * a @ b)
            kernel.trainable = self.trained[path]
            for name in ("lora_kernel_a", "lora_kernel_b"):
                stop_tracking(layer, getattr(layer, name))
                setattr(layer, name, None)
            layer.lora_enabled, layer.lora_rank, layer.lora_alpha = False, None, None


def _exact(variable: keras.Variable) -> np.ndarray:
    # In half precision the layer's own sum would round the kernel.
    return keras.ops.convert_to_numpy(variable).astype("float64")
