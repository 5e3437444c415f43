"""Components that turn tokens and what is known about them into embeddings."""

from atmorep_k.components.tokenizers.cuboid_tokenizer import CuboidTokenizer
from atmorep_k.components.tokenizers.token_info import TokenInfo

__all__ = ["CuboidTokenizer", "TokenInfo"]
