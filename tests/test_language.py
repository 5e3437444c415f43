"""Messages are plain English: no phrase of a list stands in a text that a user reads."""

import ast
import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]

# Folders whose texts are checked.
CHECKED = ("atmorep_k", "components")

BANNED = (
    r"\b(is|are) none\b",
    r"\b(is|are) no\b",
    r"\bthere (is|are) (no|none|nothing)\b",
    r"\bno such thing as\b",
    r"\bknows? no\b",
    r"\b(goes|go|going|gone) on\b",
    r"\bwhom\b",
    r"\b(is|are|was|were) told\b",
    r"\bof which\b",
    r"\bstands? twice\b",
    r"\bnot there\b",
    r"\bnot understood\b",
    r"\bwritten half\b",
    r"\banew\b",
    r"\blooks? on\b",
    r"\bhidden tokens?\b",
    r"\btokens? hidden\b",
    r"\bwas hidden\b",
    r"\bexists? already\b",
    r"\bleave \S+ away\b",
    r"\bcan(not)? be told\b",
)

# Text that holds a banned phrase in right English.
ALLOWED: frozenset[str] = frozenset()


def texts(source: str) -> list[tuple[int, str]]:
    """Returns (line, text) of the string literals, of f-strings only the fixed parts.

    Docstrings count where they are a command's help, which click takes from functions that have a
    decorator; others do not.
    """
    tree = ast.parse(source)
    docstrings = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and not _is_command(node):
                docstrings.add(id(first.value))
    # The parts of an f-string are joined, so that a phrase across two lines is found.
    joined = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
    parts = {id(part) for node in joined for part in node.values}
    fixed = [(node.lineno, _fixed(node)) for node in joined]
    plain = [
        (node.lineno, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if id(node) not in docstrings | parts
    ]
    return [(line, " ".join(text.split())) for line, text in [*fixed, *plain]]


def _is_command(node: ast.AST) -> bool:
    decorators = [ast.unparse(d) for d in getattr(node, "decorator_list", [])]
    return any("command" in d or "group" in d for d in decorators)


def _fixed(node: ast.JoinedStr) -> str:
    return "".join(p.value if isinstance(p, ast.Constant) else "{}" for p in node.values)


def banned(text: str) -> list[str]:
    """Returns the banned phrases that a text holds."""
    if text in ALLOWED:
        return []
    return [m[0] for phrase in BANNED if (m := re.search(phrase, text, re.IGNORECASE))]


@pytest.mark.parametrize("name", CHECKED)
def test_messages_hold_no_banned_phrase(name):
    files = sorted((REPOSITORY / name).rglob("*.py"))
    assert files
    faults = [
        f"{file.relative_to(REPOSITORY)}:{line}: {phrase!r} in {text!r}"
        for file in files
        for line, text in texts(file.read_text())
        for phrase in banned(text)
    ]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("source", "phrase"),
    [
        ('raise UserError(f"the place {x} is none: ...")', "is none"),
        ('raise UserError(f"{x} cannot be "\n "gone on with")', "gone on"),
        ('x = f"{path} is no "\\\n "store"', "is no"),
        ('@click.command()\ndef f():\n    """Whom to name."""', "Whom"),
        (
            '@data.command()\n@click.option("--x")\ndef f():\n    """There is no x."""',
            "There is no",
        ),
    ],
)
def test_a_banned_phrase_is_found(source, phrase):
    assert phrase in [p for _, text in texts(source) for p in banned(text)]


@pytest.mark.parametrize(
    "source",
    [
        '"""There is none."""',
        'def f():\n    """Returns None where there is none."""',
        'x = "is nothing"',
        'x = "is not a store"',
        "x = 1  # there is none",
    ],
)
def test_docstrings_comments_and_plain_english_pass(source):
    assert not [p for _, text in texts(source) for p in banned(text)]
