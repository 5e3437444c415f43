"""Components of kind masking: what is masked in a window."""

from atmorep_k.components.maskings.any_of import AnyOf
from atmorep_k.components.maskings.complementary_tokens import ComplementaryTokens
from atmorep_k.components.maskings.forecast import Forecast
from atmorep_k.components.maskings.infill import Infill
from atmorep_k.components.maskings.masking import Masked, Masking
from atmorep_k.components.maskings.missing_tokens import MissingTokens
from atmorep_k.components.maskings.original_tokens import OriginalTokens
from atmorep_k.components.maskings.random_tokens import RandomTokens
from atmorep_k.components.maskings.temporal_interpolation import TemporalInterpolation

__all__ = [
    "AnyOf",
    "ComplementaryTokens",
    "Forecast",
    "Infill",
    "Masked",
    "Masking",
    "MissingTokens",
    "OriginalTokens",
    "RandomTokens",
    "TemporalInterpolation",
]
