"""Components that turn decoded tokens into an ensemble of predictions."""

from atmorep_k.components.tails.linear_ensemble import LinearEnsemble

__all__ = ["LinearEnsemble"]
