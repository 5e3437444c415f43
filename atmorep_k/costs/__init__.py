"""What a training or a prediction would take, without doing it."""

from atmorep_k.costs.prediction import estimate_forecast
from atmorep_k.costs.training import Estimate, estimate

__all__ = ["Estimate", "estimate", "estimate_forecast"]
