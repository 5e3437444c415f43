"""What a check of a store found: one finding a line, with time, level and place."""

import dataclasses
from typing import Any, Literal

Severity = Literal["error", "warning"]
Part = Literal["record", "files", "values", "statistics"]


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a store.

    Args:
        severity: `"error"` where training must not start.
        part: of the store that it was found in.
        sentence: what it is, in a few words.
        variable: which one; empty where it concerns all.
        first: first time concerned, as ISO 8601 tells it; empty where it concerns none.
        last: last time concerned, which need not be the end of an unbroken stretch.
        levels: levels concerned; empty at the surface.
        latitude: the box concerned, north and south in degrees; empty for everywhere.
        longitude: west and east in degrees.
        count: of values, steps or files concerned.
    """

    severity: Severity
    part: Part
    sentence: str
    variable: str = ""
    first: str = ""
    last: str = ""
    levels: tuple[float, ...] = ()
    latitude: tuple[float, ...] = ()
    longitude: tuple[float, ...] = ()
    count: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Returns it as values that JSON can hold."""
        return dataclasses.asdict(self)

    def line(self) -> str:
        """Returns it as one line to read."""
        where = [self._times(), self._levels(), *self._box()]
        subject = f"{self.variable}: " if self.variable else ""
        return "; ".join([f"{self.severity:<8}{subject}{self.sentence}", *filter(None, where)])

    def _times(self) -> str:
        return self.first if self.first == self.last else f"{self.first} to {self.last}"

    def _levels(self) -> str:
        listed = " ".join(f"{level:g}" for level in self.levels)
        return f"level{'s' if len(self.levels) > 1 else ''} {listed}" if listed else ""

    def _box(self) -> list[str]:
        boxes = {"latitude": self.latitude, "longitude": self.longitude}
        return [
            f"{name} {a:g} to {b:g}" for name, (a, b) in ((n, v) for n, v in boxes.items() if v)
        ]


@dataclasses.dataclass(frozen=True)
class CheckReport:
    """All that was found in a store.

    Args:
        path: of the store.
        findings: in the order of the parts.
        looked_at: part -> what was looked at, in words; or why it was not.
    """

    path: str
    findings: tuple[Finding, ...]
    looked_at: dict[str, str]

    def number(self, severity: Severity) -> int:
        """Returns how many findings are of a severity."""
        return sum(f.severity == severity for f in self.findings)

    @property
    def may_train(self) -> bool:
        """Whether training may start."""
        return not self.number("error")

    def as_dict(self) -> dict[str, Any]:
        """Returns it as values that JSON can hold."""
        return {
            "path": self.path,
            "may_train": self.may_train,
            "errors": self.number("error"),
            "warnings": self.number("warning"),
            "looked_at": self.looked_at,
            "findings": [f.as_dict() for f in self.findings],
        }

    def as_text(self) -> str:
        """Returns it as lines to read."""
        lines = [f"  {part:<12}{words}" for part, words in self.looked_at.items()]
        verdict = "training may start" if self.may_train else "training must not start"
        counts = f"{self.number('error')} error(s), {self.number('warning')} warning(s)"
        return "\n".join(
            [self.path, *lines, *(f.line() for f in self.findings), f"{counts}: {verdict}"]
        )
