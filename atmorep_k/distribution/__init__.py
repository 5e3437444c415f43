"""How a mesh of devices is realised: by an engine for each backend."""

from atmorep_k.distribution.engine import Engine, engine_for

__all__ = ["Engine", "engine_for"]
