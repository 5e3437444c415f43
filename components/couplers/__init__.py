"""Components that let one field attend to another."""

from atmorep_k.components.couplers.cross_field_attention import CrossFieldAttention

__all__ = ["CrossFieldAttention"]
