"""What became of every weight of an imported model."""

import dataclasses
import math
from collections.abc import Iterator
from typing import Literal


@dataclasses.dataclass(frozen=True)
class Fate:
    """What became of one array.

    Args:
        fate: `"taken"` from a file, `"unused"` though a file has it, or `"new"`.
        key: its name in the original; empty for a weight that the original's files lack.
        shape: shape of the array of the original, or of the new variable.
        where: paths of our variables that hold it.
        note: why it is unused, or how a new one starts.
        file: name of the file.
    """

    fate: Literal["taken", "unused", "new"]
    key: str
    shape: tuple[int, ...]
    where: tuple[str, ...] = ()
    note: str = ""
    file: str = ""


@dataclasses.dataclass(frozen=True)
class ImportReport:
    """What became of every weight, and what was assumed.

    Args:
        runs: lines that say which runs and files were opened.
        fates: one entry for every array.
        assumed: option -> value, for options that the settings lack.
    """

    runs: tuple[str, ...]
    fates: tuple[Fate, ...]
    assumed: dict[str, object]

    def of(self, fate: str) -> list[Fate]:
        """Returns the arrays of one fate."""
        return [f for f in self.fates if f.fate == fate]

    def summary(self) -> list[str]:
        """Returns lines for a person: counts, and everything that was not simply taken."""
        lines = [*self.runs]
        for fate in ("taken", "new", "unused"):
            found = self.of(fate)
            values = sum(math.prod(f.shape) for f in found)
            lines.append(f"{fate:9}{values:,} weights in {len(found)} arrays")
            if fate != "taken":
                lines += _grouped(found)
        for name, value in self.assumed.items():
            lines.append(f"assumed  {name} = {value!r}: the settings do not say")
        return lines

    def listing(self) -> str:
        """Returns a table of all arrays, one a line, columns separated by tabs."""
        rows = [("fate", "original", "shape", "atmorep_k", "note", "file")]
        rows += [
            (f.fate, f.key, "x".join(map(str, f.shape)), " ".join(f.where), f.note, f.file)
            for f in self.fates
        ]
        return "".join("\t".join(row) + "\n" for row in rows)


def _grouped(fates: list[Fate]) -> Iterator[str]:
    """Yields a line for each reason, with the arrays that share it."""
    notes = dict.fromkeys(f.note for f in fates)
    for note in notes:
        names = [f.key or f.where[0] for f in fates if f.note == note]
        more = f" and {len(names) - 2} more" if len(names) > 2 else ""
        yield f"         {', '.join(names[:2])}{more}: {note}"
