"""Commands that ask a saved model, as tasks of a configuration.

A gin file says `run.task = @forecast()` and binds what `atmorep-k forecast` takes: its parameters
are those of the command, by the names that the Python function has for them. To run it is to call
the command, so that checks, sentences, files and pictures are the same.
"""

import dataclasses
import importlib
import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import click

from atmorep_k import registry
from atmorep_k.errors import UserError

COMMANDS = (
    "forecast",
    "interpolate",
    "reconstruct",
    "rollout",
    "point",
    "attention",
    "features",
    "infill",
    "counterfactual",
    "correct",
    "evaluate",
)
# Said on the command line of `run`, not in a file.
_DRY_RUN = "dry_run"
_TYPES = {"integer": int, "float": float, "boolean": bool}


@dataclasses.dataclass(frozen=True)
class Question:
    """What a saved model is asked: a command with its arguments.

    Args:
        command: of `COMMANDS`.
        arguments: parameter -> value; the others have their defaults.
    """

    command: click.Command
    arguments: dict[str, Any]

    @property
    def record(self) -> Path:
        """Where the configuration is kept: beside the output."""
        output = Path(self.arguments["output"])
        return output.with_name(f"{output.stem}_config.gin")

    def answer(self, dry_run: bool = False) -> None:
        """Calls the command, which prints the paths of what it wrote.

        Args:
            dry_run: say what it would take instead.

        Raises:
            UserError: where it refuses its arguments, or cannot say what it would take.
        """
        name, arguments = self.command.name, self.arguments
        if dry_run:
            if _DRY_RUN not in (parameter.name for parameter in self.command.params):
                raise UserError(
                    f"{name!r} has no --dry-run: it checks everything before it begins, and its "
                    f"output appears when it is complete."
                )
            arguments = {**arguments, _DRY_RUN: True}
        try:
            with self.command.make_context(name, [], default_map=arguments) as context:
                self.command.invoke(context)
        except click.UsageError as error:
            raise UserError(f"{name}: {error.format_message()}") from None


def _register(name: str) -> None:
    """Lets gin files use a command by its name."""
    module = f"atmorep_k.cli.{name}"
    command = getattr(importlib.import_module(module), name)

    def ask(**arguments):
        return Question(command, arguments)

    ask.__name__ = ask.__qualname__ = name
    ask.__module__, ask.__doc__ = module, _docstring(command)
    parameters = [_parameter(p) for p in command.params if p.name != _DRY_RUN]
    # What is needed comes first, as in Python.
    parameters.sort(key=lambda p: p.default is not p.empty)
    ask.__signature__ = inspect.Signature(parameters)
    ask.__annotations__ = {p.name: p.annotation for p in parameters}
    registry.borrow("task", ask)


def _docstring(command: click.Command) -> str:
    """Returns the description of a command, with the help of its options as the `Args`."""
    meanings = [f"    {p.name}: {p.help}" for p in command.params if getattr(p, "help", None)]
    return "\n".join([inspect.getdoc(command.callback), "", "Args:", *meanings])


def _parameter(of: click.Parameter) -> inspect.Parameter:
    """Returns what a parameter of a command is in Python."""
    empty, keyword = inspect.Parameter.empty, inspect.Parameter.KEYWORD_ONLY
    # A configuration lies beside an output, whose name must therefore be known.
    default = empty if of.required or of.name == "output" else of.to_info_dict()["default"]
    hint = _TYPES.get(of.type.name, str)
    if isinstance(of.type, click.Choice):
        hint = Literal[tuple(of.type.choices)]
    for several in (of.nargs > 1, of.multiple):
        hint = Sequence[hint] if several else hint
    return inspect.Parameter(
        of.name, keyword, default=default, annotation=hint | None if default is None else hint
    )


for _name in COMMANDS:
    _register(_name)
