"""Keras and its three backends: which one runs, and what we rely on inside them."""

from atmorep_k.backend.installed import default_backend, versions

__all__ = ["default_backend", "versions"]
