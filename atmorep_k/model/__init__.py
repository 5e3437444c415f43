"""The network: registered components put together for given fields."""

from atmorep_k.model.atmorep import AtmoRep

__all__ = ["AtmoRep"]
