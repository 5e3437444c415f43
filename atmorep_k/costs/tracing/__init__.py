"""A training step traced, not run: its operations and its memory."""

from atmorep_k.costs.tracing.step import Cost, cost

__all__ = ["Cost", "cost"]
