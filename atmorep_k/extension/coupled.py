"""Assembly: saved models as one whose fields attend to each other."""

import functools
from collections.abc import Sequence
from typing import Any

from atmorep_k.earth.variables import canonical_name
from atmorep_k.errors import UserError, unknown
from atmorep_k.extension.source import ModelSource, check_one_kind, joined
from atmorep_k.fields import FieldSpec
from atmorep_k.model import AtmoRep
from atmorep_k.registry import clone, component
from atmorep_k.saved.model import SavedModel


@component("model")
class CoupledModel(ModelSource):
    """Saved models put together; new couplings start at zero, so each predicts what it did alone.

    Takes the place of a new model in a training (`Pretraining.model = @CoupledModel()`). With one
    source and no couplings it continues the training of that model.

    Args:
        sources: paths of models or of runs, each with fields of its own.
        couplings: field -> the fields it is to attend to, besides those it does already; None: all
            fields to all others.
        coupler: makes the couplings of fields that have none yet; others keep their kind.
        loss_weights: field -> weight in the total loss; others keep theirs.
        freeze: patterns of the paths of weights that are not trained.

    Raises:
        UserError: if `sources` is empty; and, when the architecture is asked for, if models
            share a field, differ in how they encode, or a field is missing.
    """

    def __init__(
        self,
        sources: Sequence[str],
        couplings: dict[str, Sequence[str]] | None = None,
        coupler: Any = None,
        loss_weights: dict[str, float] | None = None,
        freeze: Sequence[str] = (),
    ):
        self.sources = list(sources)
        self.couplings = couplings
        self.coupler = coupler
        self.loss_weights = loss_weights
        self.freeze = tuple(freeze)
        if not self.sources:
            raise UserError("CoupledModel.sources is empty; give one or more models.")

    @functools.cached_property
    def saved(self) -> list[SavedModel]:
        """The models it starts from."""
        return [SavedModel.find(path) for path in self.sources]

    @functools.cached_property
    def architecture(self) -> AtmoRep:
        """The model to train, not built."""
        check_one_kind(self.saved)
        self._check_names()
        fields = [self._field(f) for saved in self.saved for f in saved.architecture.fields]
        return joined(
            self.saved,
            fields,
            self.coupler,
            freeze=self.freeze,
            provenance={"sources": [saved.entry("coupled") for saved in self.saved]},
        )

    def _check_names(self) -> None:
        names = self._names
        for what, given in (("couplings", self.couplings), ("loss_weights", self.loss_weights)):
            for name in map(canonical_name, given or {}):
                if name not in names:
                    raise unknown(f"field in CoupledModel.{what}", name, names)

    @property
    def _names(self) -> list[str]:
        return [name for saved in self.saved for name in saved.names]

    def _field(self, field: FieldSpec) -> FieldSpec:
        more = [other for other in self._wanted(field.name) if other not in field.couplings]
        weights = {canonical_name(n): w for n, w in (self.loss_weights or {}).items()}
        weight = weights.get(field.name, field.loss_weight)
        return clone(field, couplings=[*field.couplings, *more], loss_weight=weight)

    def _wanted(self, name: str) -> list[str]:
        if self.couplings is None:
            return [other for other in self._names if other != name]
        by_name = {canonical_name(n): others for n, others in self.couplings.items()}
        return [canonical_name(other) for other in by_name.get(name, ())]

    def silenced(self) -> list[tuple[str, str]]:
        """Return the couplings (field, other) that are new and start at zero."""
        before = {f.name: f.couplings for s in self.saved for f in s.architecture.fields}
        return [
            (field.name, other)
            for field in self.architecture.fields
            for other in field.couplings
            if other not in before[field.name]
        ]
