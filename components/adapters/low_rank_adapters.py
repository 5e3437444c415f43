"""Low-rank adapters of a model's dense layers."""

from collections.abc import Sequence

import keras

from atmorep_k.components.adapters import low_rank
from atmorep_k.errors import UserError
from atmorep_k.registry import Component, component


@component("adapters")
class LowRankAdapters(Component):
    """Chosen kernels W are frozen and learn a change alpha / rank * A B (LoRA).

    Hu et al. 2021, arXiv:2106.09685. Dense layers are the projections of heads, those behind the
    heads, the nets of blocks, tokenizers and token information; tails have none.

    Args:
        patterns: paths of kernels without the model's name, as `encoder/vorticity/*`; the last
            that fits decides, `!` takes back.
        rank: columns of A and rows of B.
        alpha: scale of the change; None for that of the rank, so that its factor is 1.

    Raises:
        UserError: if rank or alpha is not positive.
    """

    def __init__(
        self,
        patterns: Sequence[str] = ("encoder/*", "decoder/*"),
        rank: int = 8,
        alpha: float | None = None,
    ):
        self.patterns = tuple(patterns)
        self.rank = rank
        self.alpha = alpha
        if rank < 1 or (alpha is not None and alpha <= 0):
            raise UserError(
                f"LowRankAdapters.rank must be at least 1 and .alpha above 0, "
                f"not {rank} and {alpha}."
            )

    def attach(self, model: keras.Model) -> None:
        """Gives a built model the adapters, see `atmorep_k.components.adapters.low_rank.attach`."""
        low_rank.attach(model, self.patterns, self.rank, self.alpha or self.rank)

    def detach(self, model: keras.Model) -> None:
        """Merges them into the kernels, see `atmorep_k.components.adapters.low_rank.detach`."""
        low_rank.detach(model)
