"""Whether what is stored is fit to train on."""

from atmorep_k.data.checking.checks import check
from atmorep_k.data.checking.info import describe_store

__all__ = ["check", "describe_store"]
