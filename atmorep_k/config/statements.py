"""What a line of a configuration says: a key, a value, and where it stands."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple


@dataclass(frozen=True)
class Reference:
    """`@scope/component()`: an object to be made; `called` is False where `()` is missing."""

    scope: str
    component: str
    called: bool = True

    def __repr__(self):
        scope = f"{self.scope}/" if self.scope else ""
        return f"@{scope}{self.component}{'()' if self.called else ''}"


@dataclass(frozen=True)
class Macro:
    """`%NAME`: the value bound to NAME."""

    name: str

    def __repr__(self):
        return f"%{self.name}"

    @property
    def is_required(self) -> bool:
        """Whether it is `%gin.REQUIRED`, which stands for a value still to be given."""
        return self.name in ("gin.REQUIRED", "REQUIRED")


class Key(NamedTuple):
    """What is bound: `scope/component.parameter`; a macro has neither scope nor component."""

    scope: str
    component: str
    parameter: str

    def __str__(self):
        scope = f"{self.scope}/" if self.scope else ""
        return f"{scope}{self.component}.{self.parameter}" if self.component else self.parameter


@dataclass(frozen=True)
class Definition:
    """One binding: what is bound to which value, where it says so, and how late it comes."""

    key: Key
    value: Any
    where: str
    source: int


def parts(value: Any) -> Iterator[Any]:
    """Yields the literals, references and macros that a bound value is made of."""
    if isinstance(value, dict):
        value = [*value.keys(), *value.values()]
    if isinstance(value, list | tuple):
        for item in value:
            yield from parts(item)
    else:
        yield value
