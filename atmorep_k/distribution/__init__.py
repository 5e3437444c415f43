"""How a mesh of devices is realised: by an engine for each backend."""

from atmorep_k.distribution.choosing import engine_for
from atmorep_k.distribution.devices import ask_for_devices
from atmorep_k.distribution.engine import Engine
from atmorep_k.distribution.launch import launched

__all__ = ["Engine", "ask_for_devices", "engine_for", "launched"]
