"""The components that gin files wire: one folder per kind, one public class per file."""

from atmorep_k.components import (
    blocks,
    datasets,
    decoders,
    encoders,
    losses,
    maskings,
    normalizers,
    positions,
    schedules,
    tails,
    tokenizers,
)

__all__ = [
    "blocks",
    "datasets",
    "decoders",
    "encoders",
    "losses",
    "maskings",
    "normalizers",
    "positions",
    "schedules",
    "tails",
    "tokenizers",
]
