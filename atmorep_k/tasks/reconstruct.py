"""Reconstruction: random tokens are masked and predicted."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from atmorep_k.components.maskings import RandomTokens
from atmorep_k.errors import UserError

if TYPE_CHECKING:
    import xarray as xr

from atmorep_k.inference.running import run


def reconstruct(
    model, store: str, times: Sequence, *, ratio: float = 0.5, seed: int = 0, **options
) -> "xr.Dataset":
    """Hides random tokens and predicts them from the others, as in training.

    Windows do not share points: where the last one would, its tokens count only outside the one
    before it.

    Args:
        model: as in `forecast`.
        store: as in `forecast`.
        times: the first hours of windows.
        ratio: share of tokens that are hidden.
        seed: of the choice, which is a function of seed, time and place.
        **options: see `run`; there is no overlap.

    Returns:
        See `run`; all hours of the window, with NaN where nothing was hidden and `<field>_hidden`.

    Raises:
        UserError: where something does not fit, before work begins.
    """
    if not 0 < ratio < 1:
        raise UserError(f"the ratio must be greater than 0 and less than 1, not {ratio:g}.")
    if seed < 0:
        raise UserError(f"the seed must be 0 or greater, not {seed}.")

    def task(model):
        rates = {"hidden": 1.0, "noised": 0.0, "coarsened": 0.0}
        masking = RandomTokens(ratio=(ratio, ratio), **rates)
        fewest = min(f.tokens_per_level for f in model.predicted)
        if masking.num_slots((fewest,)) >= fewest:
            raise UserError(f"a ratio of {ratio:g} hides all {fewest} tokens of a window.")
        return masking

    return run("reconstruct", model, store, times, task, at_random=True, seed=seed, **options)
