"""The components that gin files wire: one folder per kind, one public class per file."""

from atmorep_k.components import (
    adapters,
    blocks,
    callbacks,
    couplers,
    datasets,
    decoders,
    distributions,
    encoders,
    first_guesses,
    losses,
    maskings,
    normalizers,
    positions,
    schedules,
    tails,
    tokenizers,
)

__all__ = [
    "adapters",
    "blocks",
    "callbacks",
    "couplers",
    "datasets",
    "decoders",
    "distributions",
    "encoders",
    "first_guesses",
    "losses",
    "maskings",
    "normalizers",
    "positions",
    "schedules",
    "tails",
    "tokenizers",
]
