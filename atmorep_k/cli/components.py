"""`atmorep-k components`: what a configuration may use."""

import re

import click

from atmorep_k.tasks import Question
from atmorep_k.tasks.question import meanings

_REFERENCE = re.compile(r"see `(\w+)(?:\.(\w+))?`")


@click.command()
@click.option("--kind", metavar="KIND", help="List only the components of this kind.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def components(kind, as_json):
    """List the components that a configuration may use, with the meaning of each parameter."""
    import json

    from atmorep_k import registry
    from atmorep_k.errors import unknown

    entries = registry.entries(kind, borrowed=True)
    if not entries:
        kinds = {entry.kind for entry in registry.entries(borrowed=True)}
        raise unknown("kind", kind, kinds)
    classes = {entry.name: entry.cls for entry in registry.entries(borrowed=True)}
    rows = [_row(entry, classes) for entry in entries]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    else:
        _print(rows)


def _row(entry, classes: dict) -> dict:
    parameters = [_parameter(entry.cls, p, classes) for p in entry.parameters.values()]
    return {
        "kind": entry.kind,
        "name": entry.name,
        "description": entry.description,
        "module": entry.cls.__module__,
        "parameters": parameters,
    }


def _parameter(cls, parameter, classes: dict) -> dict:
    from atmorep_k.config.types import type_name
    from atmorep_k.registry.parameters import annotation

    required = parameter.default is parameter.empty
    untyped = parameter.annotation is parameter.empty
    return {
        "name": parameter.name,
        "type": None if untyped else type_name(annotation(cls, parameter.name)),
        "required": required,
        "default": None if required else repr(parameter.default),
        "meaning": _meaning(cls, parameter.name, classes),
    }


def _meaning(cls, name: str, classes: dict) -> str | None:
    """Returns what a parameter means, None if its docstring does not say.

    A reference such as "see `MLP`" is replaced by what is said there, because a reader of the list
    cannot follow it.
    """
    from atmorep_k.registry.parameters import parameter_meanings

    if isinstance(cls, type) and issubclass(cls, Question):
        return meanings(cls)[name]

    def resolved(reference: re.Match) -> str:
        other = classes.get(reference[1])
        found = other and other is not cls and _meaning(other, reference[2] or name, classes)
        return found.rstrip(".") if found else reference[0]

    meaning = parameter_meanings(cls).get(name)
    return meaning and _REFERENCE.sub(resolved, meaning)


def _print(rows: list[dict]) -> None:
    """Prints a table; outside a terminal it is as wide as its longest line, so nothing is cut."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("kind", "name", "description and parameters"):
        table.add_column(title, no_wrap=title != "description and parameters")
    for row in rows:
        lines = [row["description"], *(_line(p) for p in row["parameters"])]
        table.add_row(row["kind"], Text(row["name"], "bold"), Text("\n".join(lines)))
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = Console(width=10_000).measure(table).maximum
    console.print(table)


def _line(parameter: dict) -> str:
    """Returns `  name: type = default  # meaning`."""
    meaning = f"  # {parameter['meaning']}" if parameter["meaning"] else ""
    return f"  {_signature(parameter)}{meaning}"


def _signature(parameter: dict) -> str:
    kind = f": {parameter['type']}" if parameter["type"] else ""
    default = "" if parameter["required"] else f" = {parameter['default']}"
    return f"{parameter['name']}{kind}{default}"
