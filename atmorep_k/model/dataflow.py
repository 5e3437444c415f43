"""Which fields a training can change, and how much of each field's network that takes."""

from collections.abc import Callable, Iterable, Sequence

from atmorep_k.fields import FieldSpec

_BEFORE_DECODER = ("tokenizer", "token_info", "position", "encoder")


def moving(fields: Sequence[FieldSpec], learns: Callable[[str, str], bool]) -> set[str]:
    """Returns the fields whose encoded states change while some weights are trained.

    Args:
        fields: of the model.
        learns: function (role, field) -> whether a part has weights that are trained.
    """
    found = {f.name for f in fields if any(learns(role, f.name) for role in _BEFORE_DECODER)}
    for _ in fields:  # a change goes one coupling further each time
        found |= {f.name for f in fields if found & set(f.couplings)}
    return found


def layers_needed(
    fields: Sequence[FieldSpec], wanted: Iterable[str], depth: Callable[[str], int]
) -> dict[str, int]:
    """Returns field -> number of layers of its encoder that the wanted predictions need.

    A field that is wanted needs all. One that only others read needs those that they read: layer n
    reads what was before it.

    Args:
        fields: of the model.
        wanted: names of the fields to predict.
        depth: function field -> number of layers of its encoder.
    """
    wanted = set(wanted)
    needed = {f.name: depth(f.name) if f.name in wanted else 0 for f in fields}
    for _ in fields:
        for reader in fields:
            for other in reader.couplings:
                read = min(depth(other), max(0, needed[reader.name] - 1))
                needed[other] = max(needed[other], read)
    return needed


def embedded(fields: Sequence[FieldSpec], wanted: Iterable[str]) -> set[str]:
    """Returns the fields that the wanted ones read, directly or by others, themselves included."""
    found = set(wanted)
    for _ in fields:
        found |= {other for f in fields if f.name in found for other in f.couplings}
    return found
