"""Components that give the learning rate of each step."""

from atmorep_k.components.schedules.warmup_decay import WarmupDecay

__all__ = ["WarmupDecay"]
