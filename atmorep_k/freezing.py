"""Which weights of a model are frozen, told by patterns over their paths."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from atmorep_k.errors import UserError, nearest


def is_frozen(path: str, patterns: Sequence[str]) -> bool:
    """Returns whether the patterns freeze a weight.

    Args:
        path: of the weight, without the model's name: `encoder/temperature/block_0/project/kernel`.
        patterns: as file names are matched, where `*` also stands for `/`; the last one that
            matches decides, and `!` before a pattern keeps what it matches trainable. Without a
            match a weight is trainable.
    """
    frozen = False
    for pattern in patterns:
        if fnmatchcase(path, pattern.removeprefix("!")):
            frozen = not pattern.startswith("!")
    return frozen


def check_patterns(patterns: Iterable[str], paths: Iterable[str], what: str) -> None:
    """Checks that each pattern matches something; `what` says in the message whose they are.

    Raises:
        UserError: for one that matches none of the paths.
    """
    paths = list(paths)
    for pattern in patterns:
        plain = pattern.removeprefix("!")
        if not any(fnmatchcase(path, plain) for path in paths):
            near = nearest(plain, paths)
            raise UserError(f"{what}: {pattern!r} matches none of {len(paths)} weights{near}")


def path_of(variable) -> str:
    """Returns the path of a model's variable, without the model's name."""
    return variable.path.partition("/")[2]
