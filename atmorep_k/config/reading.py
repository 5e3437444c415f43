"""What gin files and overrides say: read with gin's own parser, each statement with its place.

The files of a configuration follow one plain rule: a file's includes come first, then its own
bindings, then the overrides of the command line; what is said later wins. Within one file nothing
is said twice, and a file that is included twice is read once, so that the second include does not
undo what was overridden in between.
"""

import contextlib
import os
import re
import tokenize
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gin import config_parser

from atmorep_k.config.renamed import by_new_names, new_key
from atmorep_k.config.statements import Definition, Key, Macro, Reference, parts
from atmorep_k.errors import UserError, nearest


def package_directory() -> Path:
    """Returns the directory of the gin files that come with the package."""
    package = Path(__file__).parents[1]
    installed = package / "gin"
    return installed if installed.is_dir() else package.parent / "gin"


def read(files: Sequence[str | Path], overrides: Sequence[str]) -> tuple[list[Definition], int]:
    """Reads files with all they include, then overrides.

    Args:
        files: looked up in the working directory, then among the package's own.
        overrides: `NAME=VALUE`; a bare word as VALUE needs no quotes. The last of a NAME wins.

    Returns:
        The definitions in the order in which they apply, and the number of files read.

    Raises:
        UserError: if a file is missing or is not a configuration file.
    """
    reader = _Reader()
    for file in files:
        reader.read(_find(str(file), Path.cwd()), ())
    reader.definitions += [_override(text, len(reader.files)) for text in overrides]
    return by_new_names(reader.definitions), len(reader.files)


class _Reader:
    def __init__(self):
        self.definitions: list[Definition] = []
        self.files: list[Path] = []

    def read(self, path: Path, including: tuple[Path, ...]) -> None:
        if path in including:
            raise UserError(f"{_shown(path)} includes itself.")
        if path in self.files:
            return
        own: dict[Key, Definition] = {}
        for statement in _statements(path):
            where = f"{_shown(path)}:{statement.location.line_num}"
            if isinstance(statement, config_parser.IncludeStatement):
                if own:
                    raise UserError(f"{where}: includes come first, before any other line.")
                self.read(_find(statement.filename, path.parent, where), (*including, path))
            elif isinstance(statement, config_parser.ImportStatement):
                raise UserError(
                    f"{where}: import is not allowed; a package brings its components by the "
                    f"entry-point group 'atmorep_k.components'."
                )
            elif isinstance(statement, config_parser.BindingStatement):
                _add(own, _definition(statement, where, len(self.files)))
        self.files.append(path)
        self.definitions += own.values()


def _add(own: dict[Key, Definition], definition: Definition) -> None:
    key = new_key(definition.key)
    first = own.setdefault(key, definition)
    if first is not definition:
        raise UserError(
            f"{definition.where}: {key} is already given in line "
            f"{first.where.rpartition(':')[2]}; keep one of the two."
        )


def _definition(statement, where: str, source: int) -> Definition:
    scope, component, parameter, value, _ = statement
    if not parameter:
        if scope:
            raise UserError(
                f"{where}: {scope}/{component} does not name a parameter; write "
                f"{scope}/{component}.PARAMETER = VALUE."
            )
        component, parameter = "", component
    key = Key(scope, component, parameter)
    scopes = [scope, *(r.scope for r in parts(value) if isinstance(r, Reference))]
    if nested := [s for s in scopes if "/" in s]:
        raise UserError(f"{where}: only one level of scope is allowed, not {nested[0]!r}.")
    for part in parts(value):
        if isinstance(part, Reference) and not part.called:
            raise UserError(f"{where}: {key} refers to {part}; write {part}() to make an object.")
    return Definition(key, value, where, source)


def _shown(path: Path) -> str:
    with contextlib.suppress(ValueError):
        return str(path.relative_to(Path.cwd().resolve()))
    return str(path)


def _find(name: str, directory: Path, where: str = "") -> Path:
    """Returns the file of that name in the directory or, failing that, in the package's own."""
    own = package_directory()
    candidates = [directory / name, own / name, own / name.removeprefix("gin/")]
    for candidate in candidates:
        if candidate.is_file():
            return candidate.resolve()
    if candidates[0].is_dir():
        raise UserError(f"{where or name}: {name!r} is a directory, not a gin file.")
    near = candidates[0].parent
    names = [os.path.relpath(path, directory) for path in near.glob("*.gin")]
    names += [str(path.relative_to(own)) for path in own.rglob("*.gin")]
    prefix = f"{where}: " if where else ""
    raise UserError(
        f"{prefix}no gin file {name!r} in {directory} or in the package{nearest(name, names)}"
    )


class _Delegate(config_parser.ParserDelegate):
    def configurable_reference(self, name, evaluate):
        scope, _, component = name.rpartition("/")
        return Reference(scope, component, evaluate)

    def macro(self, name):
        return Macro(name)


def _statements(path: Path) -> list[Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{_shown(path)} is not a gin file: it is not text.") from None
    try:
        return list(config_parser.ConfigParser(text, _Delegate()))
    except TypeError as error:  # a dict whose key is a list
        raise UserError(f"{_shown(path)}: {error}.") from None
    except (SyntaxError, tokenize.TokenError) as error:
        number, reason = _explain(error, text)
        raise UserError(f"{_shown(path)}:{number}: {reason}.") from None


def _explain(error: SyntaxError | tokenize.TokenError, text: str) -> tuple[int, str]:
    """Returns the line of a syntax error and what is wrong with it."""
    if isinstance(error, SyntaxError):
        message, number = str(error.msg), error.lineno or 1
    else:
        message, (number, _) = error.args
    opened = _open_bracket(text)
    if opened and opened <= number:
        return opened, "a bracket is not closed"
    line = [*text.splitlines(), ""][min(number - 1, text.count("\n"))].strip()
    return number, f"cannot read {line!r}: {_slip(line, message)}"


def _open_bracket(text: str) -> int | None:
    """Returns the line of the last bracket that is opened and never closed."""
    lines = []
    with contextlib.suppress(tokenize.TokenError, SyntaxError):
        rest = iter(text.splitlines(keepends=True))
        for token in tokenize.generate_tokens(lambda: next(rest, "")):
            if token.type == tokenize.OP and token.string in "([{":
                lines.append(token.start[0])
            elif token.type == tokenize.OP and token.string in ")]}" and lines:
                lines.pop()
    return lines[-1] if lines else None


_TEXT = re.compile(r"'[^']*'|\"[^\"]*\"|#.*")
_LITERALS = {"true": "True", "false": "False", "none": "None", "null": "None"}


def _slip(line: str, message: str) -> str:
    """Says what is wrong with a line, where it is one of the usual slips.

    Args:
        line: the line that gin cannot read.
        message: what gin says about it.
    """
    _, equals, value = (part.strip() for part in _TEXT.sub("''", line).partition("="))
    word = message.rpartition("Failed to parse token ")[2].strip("'")
    if word.lower() in _LITERALS:
        return f"write {_LITERALS[word.lower()]} instead of {word}"
    if line.startswith("include") and not equals:
        return "put quotes around the name of the file"
    if word.isidentifier():
        return f"put quotes around {word}"
    if re.match(r"[/.~]|\d{4}-\d\d", value):
        return "put quotes around text"
    if re.search(r"(?<!')'(?!')|\"", _TEXT.sub("", line)):
        return "a quote is not closed"
    if "Expected ')'" in message and "@" in line:
        return "a reference takes no arguments, bind each by COMPONENT.PARAMETER = VALUE"
    if re.search(r"[\w)\]']\s*[-+*/%]", value):
        return "gin does not evaluate expressions, write the result"
    if "," in value and value[0] not in "[({":
        return "put brackets around a list"
    return "write NAME = VALUE, where VALUE is a literal, @component() or %MACRO"


def _override(text: str, source: int) -> Definition:
    """Returns the definition of `NAME=VALUE`."""
    where = f"--set {text}"
    name, equals, value = (part.strip() for part in text.partition("="))
    if not equals or not value or not re.fullmatch(r"(\w+/)*[A-Za-z_]\w*(\.\w+)*", name):
        raise UserError(f"--set takes NAME=VALUE, not {text!r}.")
    scope, component, parameter = config_parser.parse_binding_key(name)
    location = config_parser.Location(None, 1, None, text)
    parsed = _override_value(value, where)
    statement = config_parser.BindingStatement(scope, component, parameter, parsed, location)
    return _definition(statement, where, source)


def _override_value(text: str, where: str) -> Any:
    """Returns the value that text stands for; text that is no gin value stands for itself."""
    try:
        parser = config_parser.ConfigParser(text, _Delegate())
        value = parser.parse_value()
        if parser.current_token.type in (tokenize.NEWLINE, tokenize.ENDMARKER):
            return value
    except (SyntaxError, tokenize.TokenError):
        pass
    if text[0] in "[({@%'\"":
        raise UserError(f"{where}: invalid value; put quotes around text.")
    return text
