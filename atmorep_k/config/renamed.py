"""Parameters that have a new name: what is bound to the old one is bound to the new one.

A run keeps its configuration, and must resume after a parameter was renamed.
"""

import dataclasses
import functools
from collections.abc import Sequence

import click

from atmorep_k.config.statements import Definition, Key, Reference


@dataclasses.dataclass(frozen=True)
class Renamed:
    """The new name of a parameter.

    Args:
        component: the component that has the parameter now.
        parameter: its name there.
        through: the parameter `(component, name)` that refers to that component, for one that did
            not exist when the old name was used; None: configurations refer to it already.
    """

    component: str
    parameter: str
    through: tuple[str, str] | None = None


_SCHEDULE = (
    "steps",
    "minutes",
    "batch_size",
    "steps_per_epoch",
    "steps_per_execution",
    "checkpoint_every",
    "keep_checkpoints",
    "best",
    "validation_batches",
)

# (component, parameter), as they were -> as they are.
RENAMED: dict[tuple[str, str], Renamed] = {
    ("Pretraining", name): Renamed("TrainingSchedule", name, ("Pretraining", "schedule"))
    for name in _SCHEDULE
}


def new_key(key: Key) -> Key:
    """Return the key by its new name.

    The scope stays: a reference without a scope keeps the current one, so that the component that
    has the parameter now is made in the scope of the one that had it.
    """
    now = RENAMED.get((key.component, key.parameter))
    return Key(key.scope, now.component, now.parameter) if now else key


def by_new_names(definitions: Sequence[Definition]) -> list[Definition]:
    """Return definitions with the new names of what was renamed; say once which old ones came.

    Args:
        definitions: in the order in which they apply.
    """
    translated: list[Definition] = []
    links: dict[Key, Definition] = {}
    old: list[Definition] = []
    for definition in definitions:
        now = RENAMED.get((definition.key.component, definition.key.parameter))
        if now is None:
            translated.append(definition)
            continue
        old.append(definition)
        translated.append(dataclasses.replace(definition, key=new_key(definition.key)))
        if now.through:
            link = Key(definition.key.scope, *now.through)
            reference = Reference("", now.component)
            links.setdefault(link, dataclasses.replace(definition, key=link, value=reference))
    if old:
        _say(_sentence(old))
    bound = {definition.key for definition in definitions}
    missing = [d for k, d in links.items() if not {k, k._replace(scope="")} & bound]
    return [*missing, *translated]


def _sentence(old: Sequence[Definition]) -> str:
    names = {}
    for definition in old:
        now = RENAMED[definition.key.component, definition.key.parameter]
        names[f"{definition.key.component}.{definition.key.parameter}"] = (
            f"{now.component}.{now.parameter}"
        )
    pairs = ", ".join(f"{before} is now {after}" for before, after in names.items())
    return f"{old[0].where}: {pairs}."


@functools.cache
def _say(sentence: str) -> None:
    """Print a sentence once: a command may read its configuration several times."""
    click.echo(sentence, err=True)
