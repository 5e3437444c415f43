"""Components that decode the tokens of a field."""

from atmorep_k.components.decoders.unet_decoder import UNetDecoder

__all__ = ["UNetDecoder"]
