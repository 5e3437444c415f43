"""Components that encode the tokens of a field."""

from atmorep_k.components.encoders.encoder import Encoder

__all__ = ["Encoder"]
