"""The simulated atmosphere, so that everything works without a download."""

from atmorep_k.data.demo.simulate import demo_store

__all__ = ["demo_store"]
