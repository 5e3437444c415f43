"""From raw files to a store: preparing, opening, checking and describing it."""

from atmorep_k.data.named import store_path
from atmorep_k.data.opening import open_store

__all__ = ["open_store", "store_path"]
