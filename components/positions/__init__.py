"""Components that tell a token its place in the window."""

from atmorep_k.components.positions.harmonic_position import HarmonicPosition

__all__ = ["HarmonicPosition"]
