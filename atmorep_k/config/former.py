"""Configurations of runs made before encoders and decoders took a block, in the words of today."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from atmorep_k.config.statements import Definition, Key, Reference, parts
from atmorep_k.errors import UserError
from atmorep_k.registry.former import FORMER, SHARED

_DENSE = "TransformerBlock"


def modern_bindings(definitions: Sequence[Definition]) -> list[Definition]:
    """Returns the definitions as this version has them; those of today as they are.

    A run keeps its configuration in `config.gin`, and must resume by it.

    Args:
        definitions: all of a configuration.

    Raises:
        UserError: where it has dense and axial components of one kind.
    """
    new = {name for name, _, _ in FORMER.values()}
    if any(d.key.component in new and d.key.parameter == "block" for d in definitions):
        return list(definitions)
    former = _Former(definitions)
    return [made for definition in definitions for made in former.modern(definition)]


class _Former:
    def __init__(self, definitions: Sequence[Definition]):
        self._bound = {d.key: d.value for d in definitions}
        used = [part for d in definitions for part in parts(d.value)]
        self._scopes = {
            former: {r.scope for r in used if isinstance(r, Reference) and r.component == former}
            for former in FORMER
        }
        self._check()

    def _check(self) -> None:
        # They are one class today, and what is bound without a scope would be for both.
        for pair in (("DenseEncoder", "AxialEncoder"), ("UNetDecoder", "AxialUNetDecoder")):
            if all(self._scopes[former] for former in pair):
                name = FORMER[pair[0]][0]
                raise UserError(
                    f"the configuration has both {pair[0]} and {pair[1]}, which are both {name} "
                    f"today: write a/{name}.block = @TransformerBlock() for one and "
                    f"b/{name}.block = @AxialBlock() for the other."
                )

    def modern(self, definition: Definition) -> Iterator[Definition]:
        """Yields what says the same as one definition."""
        key = definition.key
        if key.component not in FORMER:
            yield dataclasses.replace(definition, value=_renamed(definition.value))
            for part in parts(definition.value):
                if isinstance(part, Reference) and part.component in FORMER:
                    yield from self._blocks(part, definition)
            return
        name, block, options = FORMER[key.component]
        if key.parameter == "self_qk_norm":
            if definition.value is not None:
                yield from self._of_block(definition, "self_", _DENSE, "qk_norm")
        elif key.parameter in options:
            yield from self._of_block(definition, "", block, key.parameter)
            if (key.component, key.parameter) == ("DenseEncoder", "norm"):
                yield from self._of_block(definition, "", block, "mlp_norm")
            if key.parameter in SHARED and self._has_self_block(key.component):
                yield from self._of_block(definition, "self_", _DENSE, key.parameter)
        else:
            yield dataclasses.replace(definition, key=key._replace(component=name))

    def _blocks(self, part: Reference, definition: Definition) -> Iterator[Definition]:
        name, block, _ = FORMER[part.component]
        value = Reference(_scope(part.scope, name), block)
        yield dataclasses.replace(definition, key=Key(part.scope, name, "block"), value=value)
        if self._has_self_block(part.component):
            value = Reference(_scope(part.scope, name, "self_"), _DENSE)
            key = Key(part.scope, name, "self_block")
            yield dataclasses.replace(definition, key=key, value=value)

    def _has_self_block(self, former: str) -> bool:
        return (
            any(
                (key.component, key.parameter) == (former, "self_qk_norm") and value is not None
                for key, value in self._bound.items()
            )
            or former == "AxialUNetDecoder"
        )

    def _of_block(self, definition, prefix, block, parameter) -> Iterator[Definition]:
        key, name = definition.key, FORMER[definition.key.component][0]
        scopes = {key.scope}
        used = self._scopes[key.component]
        if used and not key.scope:
            # gin: what is bound without a scope is so in all that bind nothing else.
            scopes = {s for s in used if not s or key._replace(scope=s) not in self._bound}
        for scope in sorted(scopes):
            new = Key(_scope(scope, name, prefix), block, parameter)
            yield dataclasses.replace(definition, key=new)


def _scope(scope: str, name: str, prefix: str = "") -> str:
    role = "encoder" if name == "Encoder" else "decoder"
    return f"{scope}_{prefix}{role}" if scope else f"{prefix}{role}"


def _renamed(value: Any) -> Any:
    """Returns a value with references to components of today."""
    if isinstance(value, dict):
        return {_renamed(k): _renamed(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_renamed(item) for item in value)
    if isinstance(value, Reference) and value.component in FORMER:
        return dataclasses.replace(value, component=FORMER[value.component][0])
    return value
