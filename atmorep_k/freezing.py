"""Which weights of a model are frozen, told by patterns over their paths."""

from collections.abc import Sequence
from fnmatch import fnmatchcase


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
