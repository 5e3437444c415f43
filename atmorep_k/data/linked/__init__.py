"""Stores whose values stay in their sources."""

from atmorep_k.data.linked.store import LinkedStore

__all__ = ["LinkedStore"]
