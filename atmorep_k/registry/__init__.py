"""The decorator that makes a class a component, and the look-up of all components."""

from atmorep_k.registry.component import (
    ENTRY_POINTS,
    Component,
    Configured,
    Entry,
    borrow,
    clone,
    component,
    discover,
    entries,
    lookup,
)

__all__ = [
    "ENTRY_POINTS",
    "Component",
    "Configured",
    "Entry",
    "borrow",
    "clone",
    "component",
    "discover",
    "entries",
    "lookup",
]
