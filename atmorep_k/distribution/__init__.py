"""How a mesh of devices is realised: by an engine for each backend."""

from atmorep_k.distribution.choosing import engine_for
from atmorep_k.distribution.engine import Engine

__all__ = ["Engine", "engine_for"]
