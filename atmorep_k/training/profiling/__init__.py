"""Where the time of a training went."""

from atmorep_k.training.profiling.profile import Profile

__all__ = ["Profile"]
