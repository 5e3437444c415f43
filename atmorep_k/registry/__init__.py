"""The decorator that makes a class a component, and the look-up of all components."""

from atmorep_k.registry.discovery import discover, entries, lookup
from atmorep_k.registry.registered import (
    Component,
    Configured,
    Entry,
    borrow,
    clone,
    component,
)

__all__ = [
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
