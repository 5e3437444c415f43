"""Extension: a saved model, frozen, and a field that joins it."""

import functools
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from keras import ops

from atmorep_k.backend.weight_paths import path_in_model
from atmorep_k.earth.variables import canonical_name
from atmorep_k.errors import UserError, unknown
from atmorep_k.extension.source import ModelSource, joined
from atmorep_k.fields import FieldSpec
from atmorep_k.model import AtmoRep
from atmorep_k.registry import clone, component
from atmorep_k.runs.directory import RunDirectory
from atmorep_k.saved.model import SavedModel


@component("model")
class ExtendedModel(ModelSource):
    """A saved model whose weights stay as they are, and a new field that learns from it.

    Takes the place of a new model in a training (`Pretraining.model = @ExtendedModel()`). The new
    field attends to the old ones; with `couple = "both"` these attend to it as well, by paths that
    start at zero and are trained, while all else of the old fields is frozen.

    Args:
        model: path of the saved model, or of its run.
        field: the new field; it attends to the fields of its `couplings`, or to all where there are
            none.
        couple: `"new"`: the new field attends to old ones; `"both"`: these attend to it too;
            `"none"`: it stands alone.
        like: the old field as whose network the new one starts, all but its tokenizer and tail:
            what it knows of space and time serves the new one, too. `"any"`: the first predicted
            one of the same sizes, if there is one; None: at random.
        parts: role (`"encoder"`, ...) -> component of the new field, where it is not to have that
            of the saved model.
        coupler: makes the new couplings; None: as those of the saved model are made.
        adapt: patterns of the paths of old weights that are trained all the same.
        compare: whether the new field is also trained alone afterwards, for the same time and with
            the same settings, to show what the others bring.

    Raises:
        UserError: when the architecture is asked for: where the field is there already, a field
            that it attends to is not, or its window is another.
    """

    def __init__(
        self,
        model: str,
        field: FieldSpec,
        couple: Literal["new", "both", "none"] = "new",
        like: str | None = "any",
        parts: dict[str, Any] | None = None,
        coupler: Any = None,
        adapt: Sequence[str] = (),
        compare: bool = True,
    ):
        self.model = model
        self.field = field
        self.couple = couple
        self.like = like
        self.parts = parts
        self.coupler = coupler
        self.adapt = tuple(adapt)
        self.compare = compare

    @functools.cached_property
    def saved(self) -> list[SavedModel]:
        """The model it starts from."""
        return [SavedModel.find(self.model)]

    @functools.cached_property
    def architecture(self) -> AtmoRep:
        """The model to train, not built."""
        old, name = self.saved[0].architecture, self.field.name
        self._check()
        read = self._read
        fields = [
            clone(f, couplings=[*f.couplings, name]) if f.name in self._readers else f
            for f in old.fields
        ]
        return joined(
            self.saved,
            [*fields, clone(self.field, couplings=read)],
            self.coupler,
            {name: self._own_parts(old)},
            freeze=self._freeze(),
            provenance={"sources": [self.saved[0].entry("extended")]},
        )

    def _check(self) -> None:
        saved, name = self.saved[0], self.field.name
        if name in saved.names:
            raise UserError(
                f"{saved.path} already has the field {name!r} (fields: {', '.join(saved.names)}); "
                f"remove it first:  atmorep-k remove-field {saved.path} {name} --output FILE"
            )
        for other in self.field.couplings:
            if other not in saved.names:
                raise unknown(f"field that {name!r} attends to", other, saved.names)
        if self.couple == "none" and self.field.couplings:
            raise UserError(
                f"ExtendedModel.couple = 'none' leaves {name!r} uncoupled, but its couplings are "
                f"{list(self.field.couplings)}; choose one of the two."
            )
        if self.couple != "none" and self.coupler is None and not _has_coupler(saved.architecture):
            raise UserError(
                f"{saved.path} has no couplings, so ExtendedModel.coupler must define the new "
                f"ones, for instance @CrossFieldAttention()."
            )

    @property
    def _read(self) -> list[str]:
        """The old fields that the new one attends to."""
        if self.couple == "none":
            return []
        return list(self.field.couplings) or self.saved[0].names

    @property
    def _readers(self) -> list[str]:
        """The old fields that attend to the new one."""
        return self._read if self.couple == "both" else []

    def _own_parts(self, old: AtmoRep) -> dict[str, Any]:
        own = {role: part for role, part in (self.parts or {}).items() if part is not None}
        if self.coupler is not None and old.templates["coupler"] is not None:
            own.setdefault("coupler", self.coupler)
        return own

    def _freeze(self) -> list[str]:
        frozen = [f"*/{name}/*" for name in self.saved[0].names]
        trained = [f"!*/{name}/*coupled_{self.field.name}/*" for name in self._readers]
        return [*frozen, *trained, *(f"!{pattern}" for pattern in self.adapt)]

    def silenced(self) -> list[tuple[str, str]]:
        """Return the couplings (field, other) that are new and start at zero."""
        return [(reader, self.field.name) for reader in self._readers]

    def start(self, model: AtmoRep) -> None:
        """Give the built model its old weights, and the new field those that it starts with."""
        super().start(model)
        if model_field := self.likeness(model):
            copies = _copied(model, model_field)
            places = {path_in_model(w.path): w for w in model.weights}
            for path, values in copies.items():
                places[_of_field(path, self.field.name)].assign(values)

    def likeness(self, model: AtmoRep) -> str | None:
        """Return the old field as whose network the new one starts.

        Args:
            model: the whole model, built.

        Raises:
            UserError: if the named field differs in size or does not exist.
        """
        fitting = [n for n in self.saved[0].names if _fits(model, n, self.field.name)]
        if self.like in (None, "any"):
            return fitting[0] if fitting and self.like else None
        name = canonical_name(self.like)
        if name not in self.saved[0].names:
            raise unknown("field in ExtendedModel.like", self.like, self.saved[0].names)
        if name not in fitting:
            raise UserError(
                f"{self.field.name!r} cannot start like {name!r}: their encoders or decoders "
                f"differ in size; give it the same embed_dim and parts, or set ExtendedModel.like "
                f"= None."
            )
        return name

    def summary(self, model: AtmoRep) -> list[str]:
        """Return lines that say what was taken, what is new, what is frozen and what is run."""
        lines, like = super().summary(model), self.likeness(model)
        how = f"as that of {like}, except for tokenizer and tail" if like else "at random"
        return [*lines, f"start    the network of {self.field.name} starts {how}"]

    def alone(self) -> AtmoRep:
        """Return the model of the new field alone, with the same components; not built."""
        whole, name = self.architecture, self.field.name
        common = {role: whole.templates.of(role, name) for role in whole.templates}
        return AtmoRep(
            [clone(self.field, couplings=())],
            **common,
            encode=whole.encode,
            dtype=whole.dtype_policy,
        )

    def conclude(self, task: Any, run: RunDirectory) -> None:
        """Proves that the old fields are as they were, and trains the new one alone to compare."""
        from atmorep_k.extension import proof

        proof.conclude(self, task, run)


def _copied(model: AtmoRep, name: str) -> dict[str, np.ndarray]:
    """Return the weights, by path, that another field may start with: of the field's own network.

    Those are all but tokenizer and tail, which belong to its values, and couplings.
    """
    return {
        path: np.array(ops.convert_to_numpy(weight))
        for path, weight in ((path_in_model(w.path), w) for w in model.weights)
        if path.split("/")[1] == name
        and path.split("/")[0] not in ("tokenizer", "tail")
        and "coupled_" not in path
    }


def _of_field(path: str, name: str) -> str:
    role, _, rest = path.split("/", 2)
    return f"{role}/{name}/{rest}"


def _fits(model: AtmoRep, old: str, new: str) -> bool:
    """Return whether the networks of two fields have the same weights."""
    shapes = [
        {_of_field(path, new): values.shape for path, values in _copied(model, name).items()}
        for name in (old, new)
    ]
    return shapes[0] == shapes[1]


def _has_coupler(model: AtmoRep) -> bool:
    return any(model.templates.of("coupler", f.name) is not None for f in model.fields)
