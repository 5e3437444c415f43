"""Which component plays which role in a model, for all fields or for single ones."""

from collections.abc import Iterable, Mapping
from typing import Any

import keras

from atmorep_k.errors import unknown

ROLES = (
    "tokenizer",
    "token_info",
    "position",
    "encoder",
    "decoder",
    "tail",
    "normalizer",
    "coupler",
    "first_guess",
)


class Templates(Mapping):
    """Role -> component of a model; single fields may have components of their own.

    No dict and no attribute of the model: Keras would track the templates as layers, find them
    never built, and trace the whole model again in each call of `fit` or `train_on_batch`.

    Args:
        common: role -> component of all fields; None where there is none.
        parts: field -> role -> component of that field alone.
        fields: names of the model's fields.

    Raises:
        UserError: for an unknown field or role in `parts`.
    """

    def __init__(
        self,
        common: Mapping[str, Any],
        parts: Mapping[str, Mapping[str, Any]] | None,
        fields: Iterable[str],
    ):
        from atmorep_k.earth.variables import canonical_name

        self._common = dict(common)
        self._parts = {canonical_name(f): dict(own) for f, own in (parts or {}).items() if own}
        fields = list(fields)
        for field, own in self._parts.items():
            if field not in fields:
                raise unknown("field in AtmoRep.parts", field, fields)
            for role in own:
                if role not in ROLES:
                    raise unknown(f"role in AtmoRep.parts of {field!r}", role, ROLES)

    def __getitem__(self, role: str) -> Any:
        return self._common[role]

    def __iter__(self):
        return iter(self._common)

    def __len__(self):
        return len(self._common)

    @property
    def parts(self) -> dict[str, dict[str, Any]]:
        """Field -> role -> component, of the fields that have their own."""
        return {field: dict(own) for field, own in self._parts.items()}

    def of(self, role: str, field: str) -> Any:
        """Returns the component that plays a role for a field."""
        return self._parts.get(field, {}).get(role, self._common[role])

    def get_config(self) -> dict[str, Any]:
        """Returns all components serialised: those of all fields by role, the others as `parts`."""
        serialize = keras.saving.serialize_keras_object
        parts = {
            field: {role: serialize(part) for role, part in own.items()}
            for field, own in self._parts.items()
        }
        return {**{role: serialize(part) for role, part in self._common.items()}, "parts": parts}
