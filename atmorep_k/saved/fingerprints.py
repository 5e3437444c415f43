"""What the weights of a saved model are, field by field: fingerprints, and proof of no change."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from atmorep_k.errors import unknown
from atmorep_k.saved.file import SavedFile


def arrays(path: Path) -> Iterator[tuple[str, str, str, np.ndarray]]:
    """Yields (field, role, name, array), sorted by name; one array is in memory at a time.

    Roles are those of the model's parts, and `"normalizer"` for the statistics of a field.
    Optimiser, metrics and the states of dropout are not weights and are left out.

    Args:
        path: a `.keras` file, or the directory of a run.

    Raises:
        UserError: if it is not a model of this package.
    """
    with SavedFile(path) as saved:
        for name, (field, role) in saved.places.items():
            yield field, role, name, saved.read(name)


def fingerprints(path: Path) -> dict[str, str]:
    """Returns, by field, the SHA-256 over name, dtype, shape and bytes of all its arrays.

    It does not depend on other fields, or on their order.

    Args:
        path: see `arrays`.

    Raises:
        UserError: see `arrays`.
    """
    hashes: dict[str, Any] = {}  # field -> what hashlib calculates with
    for field, _, name, array in arrays(path):
        found = hashes.setdefault(field, hashlib.sha256())
        found.update(f"{name}\0{array.dtype.str}\0{array.shape}\0".encode())
        found.update(array.tobytes())
    return {field: found.hexdigest() for field, found in hashes.items()}


def differences(old: Path, new: Path, fields: Sequence[str]) -> list[str]:
    """Returns the names of arrays that are not, bit for bit, in another file as well.

    Arrays that only the new file has (a coupling added to an old encoder, say) are none.

    Args:
        old: file whose arrays are looked for.
        new: file that should have them.
        fields: the fields whose arrays are compared.

    Raises:
        UserError: if one is not a model of this package, or `old` lacks a field.
    """
    with SavedFile(old) as before, SavedFile(new) as after:
        there = {field for field, _ in before.places.values()}
        for field in fields:
            if field not in there:
                raise unknown(f"field of {before.path}", field, there)
        names = [name for name, (field, _) in before.places.items() if field in fields]
        return [n for n in names if n not in after.places or not _same(before, after, n)]


def _same(before: SavedFile, after: SavedFile, name: str) -> bool:
    old, new = before.read(name), after.read(name)
    is_alike = (old.dtype, old.shape) == (new.dtype, new.shape)
    return is_alike and old.tobytes() == new.tobytes()
