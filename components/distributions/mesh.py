"""The devices of a training, and what of a model lies on which."""

import math
from collections.abc import Sequence
from typing import Any, Literal

from atmorep_k.backend.weight_paths import check_patterns, last_match, path_in_model
from atmorep_k.errors import UserError, unknown
from atmorep_k.registry import Component, component

# Columns of the maps into heads, which are ordered by head, and into the wide layers of an MLP;
# rows of the maps back, so that what lies between needs no exchange (Shoeybi et al. 2019,
# arXiv:1909.08053); and the members of tails.
LAYOUT: dict[str, tuple[str | None, ...]] = {
    "*heads/query_key_value/kernel": (None, "model"),
    "*heads/query/kernel": (None, "model"),
    "*heads/key_value/kernel": (None, "model"),
    "*project/kernel": ("model", None),
    "*mlp/widen/kernel": (None, "model"),
    "*mlp/widen/bias": ("model",),
    "*mlp/hidden_*/kernel": (None, "model"),
    "*mlp/hidden_*/bias": ("model",),
    "*mlp/narrow/kernel": ("model", None),
    "tail/*kernel": (None, "model", None),
    "tail/*bias": ("model", None),
    "tail/*/scale": (None, "model"),
    "tail/*/shift": (None, "model"),
}

Layout = dict[str, tuple[str | None, ...]]


@component("distribution")
class Mesh(Component):
    """A mesh of devices: samples are spread over its first axis, the model over the second.

    JAX realises it by `keras.distribution`, PyTorch by process groups and DTensor, TensorFlow by
    `tf.distribute`, `tf.device` and DTensor, see `atmorep_k.distribution`.

    Args:
        shape: devices along each axis; -1 once: as many as there are.
        axes: names of the two axes, the first that of samples.
        layout: pattern of paths of weights (`atmorep_k.backend.weight_paths`) -> for each
            dimension of the weight the axis that it is split over, or None. The last pattern
            that fits decides; weights that none fits are whole on each device. None: attention
            and MLPs by columns and rows, tails by members, as far as the model has them (`LAYOUT`).
        fields: field -> place on the axis of the model (0, ...) where its layers are, instead of a
            layout; `"spread"`: the fields in turn.
        shard_optimizer: whether the slots of the optimiser are also split over the samples' axis
            (Rajbhandari et al. 2020, arXiv:1910.02054, stage 1).

    Raises:
        UserError: if the number of axes or names is wrong, or both layout and fields are
            given; see also `rules`.
    """

    def __init__(
        self,
        shape: Sequence[int] = (1, 1),
        axes: Sequence[str] = ("batch", "model"),
        layout: dict[str, Sequence[str | None]] | None = None,
        fields: dict[str, int] | Literal["spread"] | None = None,
        shard_optimizer: bool = False,
    ):
        self.shape = tuple(shape)
        self.axes = tuple(axes)
        self.layout = layout
        self.fields = fields
        self.shard_optimizer = shard_optimizer
        if len(self.shape) != 2 or len(set(self.axes)) != 2:
            raise UserError(
                f"Mesh has two axes, samples and model: a shape like (4, 1) and two names, not "
                f"{self.shape} and {self.axes}."
            )
        if any(n < 1 and n != -1 for n in self.shape) or self.shape.count(-1) > 1:
            raise UserError(
                f"Mesh.shape is {self.shape}: give numbers of devices, and -1 at most once for as "
                f"many as there are."
            )
        if layout and fields:
            raise UserError("Mesh takes either a layout or fields: choose one of the two.")

    def resolved(self, devices: int, processes: int = 1) -> tuple[int, int]:
        """Returns the shape with -1 replaced by what the number of devices allows.

        Args:
            devices: that there are.
            processes: that have them.

        Raises:
            UserError: if there are too few devices, they do not divide evenly, or several
                processes have more than the mesh takes.
        """
        known = math.prod(n for n in self.shape if n > 0)
        if -1 in self.shape and devices % known == 0:
            samples, model = (devices // known if n == -1 else n for n in self.shape)
            return samples, model
        if -1 in self.shape or known > devices:
            raise UserError(
                f"Mesh.shape is {self.shape}, but there {_are(devices)}: choose a shape "
                f"with at most as many."
            )
        if processes > 1 and known != devices:
            raise UserError(
                f"Mesh.shape is {self.shape}, but {processes} processes have {devices} devices "
                f"together: with several processes the mesh must use all of them."
            )
        samples, model = self.shape
        return samples, model

    def rules(self, model: Any, shape: Sequence[int] | None = None) -> Layout:
        """Returns the axes of the dimensions of each weight that is split, by its path.

        Args:
            model: not yet built.
            shape: of the mesh; None: as it is described, -1 dividing everything.

        Raises:
            UserError: if a pattern fits no weight, names an unknown axis or has another number
                of dimensions, or a dimension does not divide.
        """
        sizes = dict(zip(self.axes, shape or self.shape, strict=True))
        if self.fields is not None or (self.layout is None and sizes[self.axes[1]] == 1):
            return {}  # nothing to look for in the model, of which a copy would be declared
        from atmorep_k.model.declared import declared

        shapes = {path_in_model(w.path): tuple(w.shape) for w in declared(model).weights}
        if self.layout is not None:
            check_patterns(self.layout, shapes, "weight to split")
        layout = self._shipped() if self.layout is None else self.layout
        found = {path: last_match(path, layout) for path in shapes}
        rules = {path: tuple(layout[p]) for path, p in found.items() if p is not None}
        if self.layout is None:
            # A component of a plug-in may have a weight of the same name and another kind.
            rules = {path: axes for path, axes in rules.items() if len(axes) == len(shapes[path])}
        for path, axes in rules.items():
            self._check(path, shapes[path], axes, sizes)
        split = {a for a in self.axes if sizes[a] != 1}
        return {path: axes for path, axes in rules.items() if split & set(axes)}

    def _shipped(self) -> Layout:
        names = {"model": self.axes[1], None: None}
        return {p: tuple(names[axis] for axis in axes) for p, axes in LAYOUT.items()}

    def _check(self, path, shape, axes, sizes) -> None:
        for axis in axes:
            if axis is not None and axis not in sizes:
                raise unknown(f"axis of Mesh in the layout of {path!r}", axis, self.axes)
        if len(axes) != len(shape):
            raise UserError(
                f"Mesh.layout splits {path!r} by {axes}, but its shape is {shape}: give an axis or "
                f"None for each dimension."
            )
        for length, axis in zip(shape, axes, strict=True):
            if axis is not None and length % sizes[axis] and sizes[axis] > 0:
                raise UserError(
                    f"{path} {shape} cannot be split over {sizes[axis]} devices of the axis "
                    f"{axis!r}: {length} is not divisible; change Mesh.shape or Mesh.layout."
                )

    def places(self, model: Any, shape: Sequence[int] | None = None) -> dict[str, int]:
        """Returns the place on the axis of the model of each field, where fields are placed.

        Raises:
            UserError: if a field is unknown or without a place, or a place does not exist.
        """
        names, places = [f.name for f in model.fields], (shape or self.shape)[1]
        if self.fields is None:
            return {}
        if self.fields == "spread":
            return {name: number % max(1, places) for number, name in enumerate(names)}
        for name, place in self.fields.items():
            if name not in names:
                raise unknown("field in Mesh.fields", name, names)
            if not 0 <= place < max(1, places):
                raise UserError(
                    f"Mesh.fields puts {name!r} on place {place}, but the axis "
                    f"{self.axes[1]!r} has {places} (0 to {places - 1})."
                )
        if missing := [name for name in names if name not in self.fields]:
            raise UserError(f"Mesh.fields gives {missing[0]!r} no place; each field needs one.")
        return dict(self.fields)

    def check_batch(self, batch_size: int, shape: Sequence[int]) -> None:
        """Raises a `UserError` where a batch cannot be spread evenly over the samples' axis."""
        if batch_size % shape[0]:
            raise UserError(
                f"a batch of {batch_size} cannot be spread over {shape[0]} devices: choose "
                f"TrainingSchedule.batch_size as a multiple."
            )


def _are(devices: int) -> str:
    return "is 1 device" if devices == 1 else f"are {devices} devices"
