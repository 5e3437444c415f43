"""A description of a saved model, for a person to read on a screen or in a log file."""

from atmorep_k.console import print_table
from atmorep_k.saved.description import origin_text

# Characters of a cell whose table is as wide as its cells are; longer ones are folded.
_WIDEST = 48


def print_description(description: dict) -> None:
    """Prints what `saved.describe` returned."""
    _say(
        f"{description['path']}  {description['weights']:,} weights, "
        f"{description['bytes'] / 1e6:.1f} MB, saved {description['saved']}"
    )
    print_table(_fields(description["fields"]))
    print_table(_weights(description["fields"]))
    for line in (*coupling_lines(description), *frozen_lines(description)):
        _say(line)
    _show(_components(description))
    for line in history_lines(description["provenance"]):
        _say(line)
    for key, value in description["provenance"].items():
        if key != "sources":
            _say(f"{key}: {value}")


def _say(line: str) -> None:
    import click

    click.echo(line)


def _show(table) -> None:
    from rich.console import Console

    Console(highlight=False).print(table)


def _table(*heads: str, widest: int | None = _WIDEST):
    from rich.box import SIMPLE
    from rich.table import Table

    table = Table(box=SIMPLE)
    for head in heads:
        table.add_column(head, overflow="fold", max_width=widest)
    return table


def _fields(fields: list[dict]):
    table = _table("field", "levels", "window", "tokens", "token size", "channels", "statistics")
    for f in fields:
        table.add_row(
            f["name"] + ("" if f["predicted"] else "\n(input only)"),
            ", ".join(f"{level:g}" for level in f["levels"]),
            f"{times(f['window']['shape'])}, {f['window']['step_hours']:g} h steps",
            times(f["num_tokens"]),
            times(f["token_size"]),
            str(f["embed_dim"]),
            f["normalization"],
        )
    return table


def _weights(fields: list[dict]):
    table = _table("field", "weights", "frozen", "fingerprint", "origin")
    for f in fields:
        row = (f["name"], f"{f['weights']:,}", frozen_text(f), f["fingerprint"][:12])
        table.add_row(*row, origin_text(f))
    return table


def frozen_text(field: dict) -> str:
    """Returns `"all"`, `"none"` or which roles of a field are frozen, with the share of mixed ones.

    Where it is not known: a question mark.
    """
    if field["frozen"] is None:
        return "?"
    if field["frozen"] in (0, field["weights"]):
        return share_text(field["frozen"], field["weights"])
    by_share: dict[str, list[str]] = {}
    for role, part in field["parts"].items():
        by_share.setdefault(share_text(part["frozen"], part["weights"]), []).append(role)
    return "; ".join(f"{', '.join(roles)} {share}" for share, roles in by_share.items())


def share_text(frozen: int, weights: int) -> str:
    """Returns `"all"`, `"none"` or a share in percent that is neither 0 nor 100."""
    if frozen in (0, weights):
        return "all" if frozen else "none"
    return f"{min(99, max(1, round(100 * frozen / weights)))} %"


def coupling_lines(description: dict) -> list[str]:
    """Returns the couplings as a graph of plain characters; none where nothing is coupled."""
    couplings = description["couplings"]
    if not couplings:
        return []
    lines = []
    names = [f["name"] for f in description["fields"]]
    width = max(map(len, names))
    for name in names:
        mine = [c for c in couplings if c["field"] == name]
        for number, c in enumerate(mine):
            arrow = f"{name:<{width}} --->" if number == 0 else f"{'':<{width}}  \\->"
            heads = "" if c["num_heads"] is None else f", heads: {c['num_heads']}"
            lines.append(f"  {arrow} {c['attends_to']:<{width}}  {c['component']}{heads}")
        if not mine:
            lines.append(f"  {name:<{width}}  {_passive(name, couplings)}")
    return ["couplings (a field ---> the field that it attends to)", *lines]


def _passive(name: str, couplings: list[dict]) -> str:
    readers = [c["field"] for c in couplings if c["attends_to"] == name]
    if readers:
        return "attends to no other field"
    return "attends to no other field, no other attends to it"


def frozen_lines(description: dict) -> list[str]:
    """Returns the patterns that freeze weights, and why it is not known what they freeze."""
    if not description["freeze"]:
        return []
    lines = [f"frozen: {', '.join(description['freeze'])}"]
    if description["frozen_unknown"]:
        lines.append(
            "which weights these are is unknown, because the model cannot be built here: "
            f"{description['frozen_unknown']}."
        )
    return lines


def _components(description: dict):
    table = _table("part", "component", "configuration", widest=None)
    for role, options in description["components"].items():
        table.add_row(role, *_component(options))
    for field in description["fields"]:
        for role, options in field["components"].items():
            table.add_row(f"{role} of {field['name']}", *_component(options))
    return table


def _component(options: dict) -> tuple[str, str]:
    from rich.markup import escape

    rest = ", ".join(f"{k}={v}" for k, v in options.items() if k != "class")
    return options["class"], escape(rest)


def history_lines(provenance: dict) -> list[str]:
    """Returns the models that a model was made from, each followed by those that it was made of."""
    lines = _sources(provenance, "  ")
    return ["made from", *lines] if lines else []


def _sources(provenance: dict, indent: str) -> list[str]:
    lines = []
    for source in provenance.get("sources") or []:
        before = source.get("provenance") or {}
        store = f", trained on {before['store']}" if before.get("store") else ""
        fields = ", ".join(source["fields"])
        lines.append(
            f"{indent}{source['model']}  {source['sha256'][:12]}  {source['role']}: {fields}{store}"
        )
        lines += _sources(before, f"{indent}  ")
    return lines


def times(sizes) -> str:
    """Returns sizes as `"2 x 2 x 4"`."""
    return " x ".join(str(size) for size in sizes)
