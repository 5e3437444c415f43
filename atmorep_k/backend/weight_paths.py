"""Patterns that choose weights of a model by their paths, as `encoder/temperature/*`."""

import fnmatch
from collections.abc import Iterable, Sequence

from atmorep_k.errors import UserError, nearest

_NOT = "!"


def path_in_model(path: str) -> str:
    """Returns the path of a weight without the name of the model that it is in."""
    return path.partition("/")[2] or path


def last_match(path: str, patterns: Iterable[str]) -> str | None:
    """Returns the last of the patterns that fits a path, a leading `!` aside; None where none does.

    `*` matches any characters, including `/`; upper and lower case differ.
    """
    fitting = [p for p in patterns if fnmatch.fnmatchcase(path, p.removeprefix(_NOT))]
    return fitting[-1] if fitting else None


def matches(path: str, patterns: Sequence[str]) -> bool:
    """Returns whether patterns choose a path: the last that fits decides, `!` takes back."""
    decisive = last_match(path, patterns)
    return decisive is not None and not decisive.startswith(_NOT)


def check_patterns(patterns: Iterable[str], paths: Iterable[str], what: str) -> None:
    """Refuses a pattern that fits no path.

    Args:
        patterns: with or without a leading `!`.
        paths: of all that could be chosen.
        what: names one of them, for the message.

    Raises:
        UserError: names the pattern and the nearest that fits.
    """
    paths = list(paths)
    for pattern in patterns:
        if not any(last_match(path, [pattern]) for path in paths):
            raise UserError(
                f"no {what} has a path like {pattern!r}"
                f"{nearest(pattern.removeprefix(_NOT), _suggestions(paths))}"
            )


def _suggestions(paths: list[str]) -> set[str]:
    """Returns the paths, their beginnings and their parts, each as a pattern that fits."""
    found = set(paths)
    for path in paths:
        parts = path.split("/")
        found.update("/".join(parts[:n]) + "/*" for n in range(1, len(parts)))
        found.update(f"*/{part}/*" for part in parts[1:-1])
        found.add(f"*/{parts[-1]}")
    return found
