"""Components that encode the tokens of a field."""

from atmorep_k.components.encoders.axial_encoder import AxialEncoder
from atmorep_k.components.encoders.dense_encoder import DenseEncoder

__all__ = ["AxialEncoder", "DenseEncoder"]
