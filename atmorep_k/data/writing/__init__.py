"""A store made in blocks by any number of processes, whole or not at all."""

from atmorep_k.data.writing.appending import append
from atmorep_k.data.writing.preparing import prepare
from atmorep_k.data.writing.write_store import write_store

__all__ = ["append", "prepare", "write_store"]
