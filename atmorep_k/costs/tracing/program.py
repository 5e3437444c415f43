"""The operations of a compiled step in order, and how much memory they need at once."""

import dataclasses
from typing import Literal

Kind = Literal["view", "fused", "kept", "product"]


class Value:
    """An array of a program.

    Args:
        nbytes: its size where it is stored.
    """

    __slots__ = ("nbytes",)

    def __init__(self, nbytes: int):
        self.nbytes = nbytes


@dataclasses.dataclass(frozen=True, eq=False)
class Operation:
    """One operation of a program.

    Args:
        kind: what a compiler makes of it. `"view"`: the same memory read otherwise. `"fused"`:
            computed where it is needed, stored only if an operation reads it that cannot do so.
            `"kept"`: its result is stored, as it is costly. `"product"`: its operands are stored,
            too.
        inputs: what it reads.
        outputs: what it makes.
        flops: its multiplications and additions.
        inner: bytes that it needs while it runs.
    """

    kind: Kind
    inputs: list[Value]
    outputs: list[Value]
    flops: float = 0.0
    inner: int = 0


@dataclasses.dataclass(frozen=True)
class Program:
    """A step as a compiler that fuses sees it, XLA above all.

    Args:
        operations: in the order in which they run.
        inputs: what it is given; not counted in `peak_bytes`.
        outputs: what it returns; not counted either.
    """

    operations: list[Operation]
    inputs: list[Value]
    outputs: list[Value]

    @property
    def flops(self) -> float:
        """Operations of the products that are needed."""
        return sum(operation.flops for operation in self._needed())

    def peak_bytes(self) -> int:
        """Return the bytes of all that is stored at the time when this is most."""
        operations = self._needed()
        stored = _stored(operations, set(self.inputs))
        last = self._last_reads(operations, stored)
        ends: dict[int, list[Value]] = {}
        for value, position in last.items():
            ends.setdefault(position, []).append(value)
        outside, held, peak = {*self.inputs, *self.outputs}, 0, 0
        for position, operation in enumerate(operations):
            made = [v for v in operation.outputs if v in stored and v not in outside]
            held += sum(v.nbytes for v in made)
            peak = max(peak, held + operation.inner)
            gone = {*ends.get(position, ()), *(v for v in made if v not in last)}
            held -= sum(v.nbytes for v in gone - outside)
        return peak

    def _needed(self) -> list[Operation]:
        """Return the operations without those whose results nobody reads."""
        wanted, needed = set(self.outputs), []
        for operation in reversed(self.operations):
            if not wanted.isdisjoint(operation.outputs):
                wanted.update(operation.inputs)
                needed.append(operation)
        return needed[::-1]

    def _last_reads(self, operations, stored) -> dict[Value, int]:
        """Return the position of the last operation that reads a stored value, fused ones past."""
        sources = {value: frozenset((value,)) for value in self.inputs}
        last: dict[Value, int] = {}
        for position, operation in enumerate(operations):
            read = frozenset().union(*(sources.get(v, ()) for v in operation.inputs))
            for value in operation.outputs:
                sources[value] = frozenset((value,)) if value in stored else read
            if not stored.isdisjoint(operation.outputs):
                last.update(dict.fromkeys(read, position))
        for value in self.outputs:
            last.update(dict.fromkeys(sources.get(value, ()), len(operations)))
        return last


def _stored(operations: list[Operation], inputs: set[Value]) -> set[Value]:
    """Return the values that have memory of their own."""
    viewed = {op.outputs[0]: op.inputs[0] for op in operations if op.kind == "view" and op.inputs}
    stored = set()
    for operation in operations:
        if operation.kind in ("kept", "product"):
            stored.update(operation.outputs)
        if operation.kind == "product":
            stored.update(_base(value, viewed) for value in operation.inputs)
    return stored - inputs


def _base(value: Value, viewed: dict[Value, Value]) -> Value:
    while value in viewed:
        value = viewed[value]
    return value
