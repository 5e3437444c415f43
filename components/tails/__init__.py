"""Components that predict an ensemble for each masked token."""

from atmorep_k.components.tails.linear_ensemble import LinearEnsemble
from atmorep_k.components.tails.mlp_ensemble import MLPEnsemble

__all__ = ["LinearEnsemble", "MLPEnsemble"]
