"""Keras and its three backends: which one runs, and what we rely on inside them."""

from atmorep_k.backend.compile_cache import use_compile_cache
from atmorep_k.backend.installed import default_backend, versions

__all__ = ["default_backend", "use_compile_cache", "versions"]
