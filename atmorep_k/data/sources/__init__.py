"""Raw files as pieces: cut, derived and joined."""

from atmorep_k.data.sources.finding import find_sources
from atmorep_k.data.sources.joining import join
from atmorep_k.data.sources.pieces import Piece
from atmorep_k.data.sources.selection import Selection

__all__ = ["Piece", "Selection", "find_sources", "join"]
