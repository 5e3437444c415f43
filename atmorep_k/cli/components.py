"""`atmorep-k components`: what a configuration may use."""

import click


@click.command()
@click.option("--kind", metavar="KIND", help="List only the components of this kind.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def components(kind, as_json):
    """List the components that a configuration may use: kind, name, description, parameters."""
    import json

    from atmorep_k import registry
    from atmorep_k.errors import unknown

    entries = registry.entries(kind, borrowed=True)
    if not entries:
        kinds = {entry.kind for entry in registry.entries(borrowed=True)}
        raise unknown("kind", kind, kinds)
    rows = [_row(entry) for entry in entries]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    else:
        _print(rows)


def _row(entry) -> dict:
    parameters = [_parameter(entry.cls, p) for p in entry.parameters.values()]
    return {
        "kind": entry.kind,
        "name": entry.name,
        "description": entry.description,
        "module": entry.cls.__module__,
        "parameters": parameters,
    }


def _parameter(cls, parameter) -> dict:
    from atmorep_k.config.types import type_name
    from atmorep_k.registry.parameters import annotation

    required = parameter.default is parameter.empty
    untyped = parameter.annotation is parameter.empty
    return {
        "name": parameter.name,
        "type": None if untyped else type_name(annotation(cls, parameter.name)),
        "required": required,
        "default": None if required else repr(parameter.default),
    }


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
        lines = [row["description"], *(f"  {_signature(p)}" for p in row["parameters"])]
        table.add_row(row["kind"], Text(row["name"], "bold"), Text("\n".join(lines)))
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = Console(width=10_000).measure(table).maximum
    console.print(table)


def _signature(parameter: dict) -> str:
    kind = f": {parameter['type']}" if parameter["type"] else ""
    default = "" if parameter["required"] else f" = {parameter['default']}"
    return f"{parameter['name']}{kind}{default}"
