"""Components of kind adapters: a trained model learns something new by few weights."""

from atmorep_k.components.adapters.low_rank_adapters import LowRankAdapters

__all__ = ["LowRankAdapters"]
