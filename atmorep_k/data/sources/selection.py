"""What is taken of sources: variables, levels, a region, what is derived from others."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from atmorep_k.data.sources.cutting import crop, cut_to_period
from atmorep_k.data.sources.derived import derive
from atmorep_k.data.sources.finding import open_sources
from atmorep_k.data.sources.joining import Joined, join
from atmorep_k.data.sources.pieces import Piece
from atmorep_k.earth.variables import canonical_name
from atmorep_k.errors import UserError, unknown

_UNKNOWN = "not in the table of variables (take one with --variable NAME)"


@dataclasses.dataclass(frozen=True)
class Selection:
    """What is taken of sources.

    Args:
        variables: names, under any alias; all known variables if empty.
        levels: levels wanted; all if empty.
        region: (south, north, west, east) in degrees; the whole grid if None.
        derived: `"vorticity"`, `"divergence"`: computed from the wind of the sources.
        grid: degrees between the points of the grid to which radar is brought.
        period: first and last day (month, year, time), both included; the whole record if None.
    """

    variables: tuple[str, ...] = ()
    levels: tuple[float, ...] = ()
    region: tuple[float, float, float, float] | None = None
    derived: tuple[str, ...] = ()
    grid: float | None = None
    period: tuple[str, str] | None = None

    def open(
        self, sources: Sequence[str], notify: Callable[[str], None] = lambda sentence: None
    ) -> tuple[list[Piece], list[Joined]]:
        """Opens sources (as `sources.find_sources` gives them); nothing but headers is read.

        Args:
            sources: files, Zarr directories, addresses.
            notify: called with sentences about what was left out.

        Returns:
            The pieces taken, and the variables that they are joined to.

        Raises:
            UserError: if something is missing or damaged, or does not fit together.
        """
        pieces, left_out = open_sources(sources, self.grid)
        pieces = derive(pieces, self.derived)
        variables = [*self.variables, *self.derived] if self.variables else ()
        chosen = _choose(pieces, left_out, variables, notify)
        chosen = crop(chosen, self.region) if self.region else chosen
        chosen = cut_to_period(chosen, self.period) if self.period else chosen
        return chosen, join(chosen, self.levels)

    def told(self, chosen: Sequence[Piece]) -> dict[str, Any]:
        """Returns the selection as values that JSON can hold, with the names that it led to.

        `Selection.of` of them takes the same of other sources of the same kind.
        """
        names = dict.fromkeys(p.source_name for p in chosen)
        return {
            "variables": [name for name in names if name not in self.derived],
            "region": list(self.region) if self.region else None,
            "derived": list(self.derived),
            "grid": self.grid,
            "period": list(self.period) if self.period else None,
        }

    @classmethod
    def of(cls, told: dict[str, Any], levels: Iterable[float]) -> "Selection":
        """Returns the selection that `told` tells of, with the levels of a store."""
        whole: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in told.items()}
        return cls(levels=tuple(levels), **whole)


def _choose(
    pieces: Sequence[Piece],
    left_out: dict[str, str],
    variables: Sequence[str],
    notify: Callable[[str], None],
) -> list[Piece]:
    """Returns the pieces to store: those named, or all that are known.

    Raises:
        UserError: if a variable is missing, cannot be stored, or nothing is left.
    """
    if not variables:
        chosen = [p for p in pieces if p.is_known]
        unknowns = sorted({p.name for p in pieces if not p.is_known})
        _tell({**left_out, **dict.fromkeys(unknowns, _UNKNOWN)}, notify)
        if not chosen:
            names = f" The sources contain {', '.join(unknowns)}; name one." if unknowns else ""
            found = "; ".join(f"{n}: {why}" for n, why in sorted(left_out.items())[:3])
            raise UserError(f"no known variable was found.{names} {found}".strip())
    else:
        chosen = [p for name in variables for p in _named(name, pieces, left_out)]
    _check_distinct(chosen)
    return list({id(p): p for p in chosen}.values())


def _tell(left_out: dict[str, str], notify: Callable[[str], None]) -> None:
    for why in dict.fromkeys(left_out.values()):
        names = sorted(name for name, reason in left_out.items() if reason == why)
        notify(f"left out {', '.join(names)}: {why}.")


def _named(name: str, pieces: Sequence[Piece], left_out: dict[str, str]) -> list[Piece]:
    exact = [p for p in pieces if p.source_name == name]
    found = exact or [p for p in pieces if canonical_name(name) == p.name]
    if found:
        return found
    for other, why in left_out.items():
        if canonical_name(name) == canonical_name(other):
            raise UserError(f"variable {name!r} cannot be stored: {why}.")
    raise unknown("variable in the sources", name, {p.name for p in pieces})


def _check_distinct(pieces: Sequence[Piece]) -> None:
    """Refuses two variables of one source that have one name in the store."""
    names: dict[tuple[str, str], str] = {}
    for piece in pieces:
        other = names.setdefault((piece.source, piece.name), piece.source_name)
        if other != piece.source_name:
            raise UserError(
                f"{piece.source}: {other!r} and {piece.source_name!r} are both {piece.name!r}; "
                f"choose one of them with --variable."
            )
