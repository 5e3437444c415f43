"""Configuration: from gin files and overrides to checked bindings to the objects they describe.

All contact with gin is here and, for its parser, in `config.reading`. A class is registered with
gin without being changed; `run` is the one root. gin's global state is filled when a configuration
is built and cleared again, whatever happens.
"""

import contextlib
import pprint
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gin

from atmorep_k.config import checking, former
from atmorep_k.config.reading import read
from atmorep_k.config.statements import Definition
from atmorep_k.errors import UserError, unknown
from atmorep_k.registry.discovery import entries
from atmorep_k.registry.gin_names import run
from atmorep_k.registry.parameters import bindable_parameters

_LINE = 100


@dataclass(frozen=True)
class Configuration:
    """A checked configuration.

    Attributes:
        bindings: `scope/Component.parameter` or `MACRO` -> value, of literals, `Reference`s and
            `Macro`s: what is used, and nothing else.
        num_files: number of files it was read from.
    """

    bindings: dict[str, Any]
    num_files: int

    @property
    def task(self) -> str:
        """The name of what is run: a component of kind task, or one of `atmorep_k.tasks`."""
        return self.bindings[str(checking.ROOT)].component

    @property
    def text(self) -> str:
        """The whole configuration as one gin file without includes, macros kept.

        It loads to the same bindings and the same text: macros by name, then components in the
        order in which `run.task` leads to them, each one's parameters in its own order.
        """
        blocks: dict[str, list[str]] = {}
        for name, value in self.bindings.items():
            owner = name.rpartition("/")[2].rpartition(".")[0]
            blocks.setdefault(owner, []).append(_line(name, value))
        return "\n\n".join("\n".join(lines) for lines in blocks.values()) + "\n"

    def build(self) -> Any:
        """Makes the objects and returns the task.

        Raises:
            UserError: if a component refuses its values.
        """
        with _empty_gin():
            gin.parse_config(self.text)
            try:
                return run()
            except Exception as error:
                failure = _as_raised(error)
            raise failure


def load(files: Sequence[str | Path], overrides: Sequence[str] = ()) -> Configuration:
    """Reads and checks a configuration; builds nothing and opens no data.

    Args:
        files: gin files; a later one overrides an earlier one. A file that is not in the working
            directory is looked up among the package's own; an include, first beside the file
            that includes it.
        overrides: `NAME=VALUE`, where NAME is a macro, `Component.parameter` or
            `scope/Component.parameter`; text as VALUE needs no quotes.

    Raises:
        UserError: at the first mistake, with its file and line.
    """
    definitions, num_files = read(files, overrides)
    registered = {entry.name: entry.cls for entry in entries(borrowed=True)}
    vocabulary = {"run": run, **registered}
    used = checking.check_bindings(former.modern_bindings(definitions), vocabulary)
    _check_task(used[0], [entry.name for entry in entries("task", borrowed=True)])
    return Configuration({str(d.key): d.value for d in _sorted(used, vocabulary)}, num_files)


def _check_task(root: Definition, tasks: list[str]) -> None:
    if root.value.component not in tasks:
        raise UserError(f"{root.where}: {unknown('task', root.value.component, tasks)}")


def _sorted(used: list[Definition], vocabulary: Mapping[str, Any]) -> list[Definition]:
    """Sorts macros by name, the rest by component and scope as first met, and by parameter."""
    components = list(dict.fromkeys(d.key.component for d in used))
    scopes = ["", *dict.fromkeys(d.key.scope for d in used if d.key.scope)]

    def place(definition: Definition):
        scope, component, parameter = definition.key
        if not component:
            return (-1, 0, 0, parameter)
        number = bindable_parameters(vocabulary[component]).index(parameter)
        return (components.index(component), scopes.index(scope), number, parameter)

    return sorted(used, key=place)


def _line(name: str, value: Any) -> str:
    indent = " " * (len(name) + 3)
    lines = pprint.pformat(value, width=_LINE - len(indent), sort_dicts=False).splitlines()
    return f"{name} = " + f"\n{indent}".join(lines)


@contextlib.contextmanager
def _empty_gin() -> Iterator[None]:
    gin.clear_config()
    try:
        yield
    finally:
        gin.clear_config()


def _as_raised(error: BaseException) -> BaseException:
    """Returns the exception that a component raised, which gin wraps once for each caller.

    What gin has to say goes into a note, which only a traceback shows.
    """
    said = str(error)
    while (inner := error.__context__) and type(error).__bases__ == (type(inner),):
        error = inner
    if note := said.removeprefix(str(error)).strip():
        error.add_note(note)
    return error
