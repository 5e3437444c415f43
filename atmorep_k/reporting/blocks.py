"""The blocks in a section of a page: each kind has a template of the same name.

A block is plain data; its template escapes all text, which may come from anybody's files.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from atmorep_k.reporting.picture import Picture

Block = dict[str, Any]


def facts(rows: Mapping[str, Any]) -> Block:
    """Returns names with their values; those without a value are left out."""
    return {"kind": "facts", "rows": [(k, str(v)) for k, v in rows.items() if v not in (None, "")]}


def prose(*sentences: str) -> Block:
    """Returns a paragraph."""
    return {"kind": "prose", "text": " ".join(sentences)}


def commands(*lines: str, before: str = "") -> Block:
    """Returns commands to copy, below a sentence that says what for."""
    return {"kind": "commands", "before": before, "text": "\n".join(lines)}


def folded(summary: str, inner: Iterable[Block]) -> Block:
    """Returns blocks that are hidden until they are asked for."""
    return {"kind": "folded", "summary": summary, "blocks": list(inner)}


def source(text: str) -> Block:
    """Returns the text of a file, as it is."""
    return {"kind": "source", "text": text}


def pictures(shown: Iterable[Picture]) -> Block:
    """Returns pictures, one below the other."""
    return {"kind": "pictures", "pictures": list(shown)}


def table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> Block:
    """Returns a table whose first column names the rows.

    Args:
        caption: what the numbers are.
        heads: names of all columns.
        rows: cells: texts, or `{"text", "best", "beside"}` with what is shown small beside it.
    """
    cells = [[_cell(cell) for cell in row] for row in rows]
    return {"kind": "table", "caption": caption, "heads": list(heads), "rows": cells}


def _cell(cell: Any) -> dict[str, Any]:
    plain = {"text": "", "best": False, "beside": ""}
    return plain | (cell if isinstance(cell, dict) else {"text": str(cell)})
