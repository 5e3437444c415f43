"""Confidence intervals of scores, from times that are drawn again in blocks."""

from collections.abc import Callable

import numpy as np

from atmorep_k.evaluation.sums import WEIGHT, Sums

# With fewer times the spread of the draws says little, and no interval is given.
FEWEST_TIMES = 8
DRAWS = 500
SHARE = 0.95


def block_length(times: int) -> int:
    """Return the usual length of a block, the cube root of the number of times."""
    return max(1, round(times ** (1 / 3)))


def draws(times: int, block: int, seed: int = 0) -> np.ndarray:
    """Return how often each time is in each draw, (draw, time).

    A draw consists of blocks of consecutive times, which go round from the last time to the first
    so that each time is as likely as any other: the circular block bootstrap of Politis and Romano
    (1992). Consecutive values resemble each other, and blocks keep that.

    Args:
        times: their number.
        block: times in a block.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    starts = rng.integers(times, size=(DRAWS, -(-times // block), 1))
    drawn = ((starts + np.arange(block)) % times).reshape(DRAWS, -1)[:, :times]
    return np.stack([np.bincount(d, minlength=times) for d in drawn]).astype(np.float64)


def intervals(
    sums: Sums, score: Callable[[Sums], dict[str, np.ndarray]], block: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return the lower and the upper end of the 95 % interval of each score.

    Args:
        sums: sums of each time (time, model, level, ...).
        score: function sums over times -> scores.
        block: times in a block.
    """
    times, _, levels = sums[WEIGHT].shape[:3]
    counts = draws(times, block)
    low: dict[str, list[np.ndarray]] = {}
    high: dict[str, list[np.ndarray]] = {}
    for level in range(levels):  # so that draws need little memory
        drawn = sums.map(lambda total, level=level: np.tensordot(counts, total[:, :, level], 1))
        for name, values in score(drawn).items():
            ends = _ends(values)
            low.setdefault(name, []).append(ends[0])
            high.setdefault(name, []).append(ends[1])
    return _stacked(low), _stacked(high)


def _stacked(ends: dict[str, list[np.ndarray]]) -> dict[str, np.ndarray]:
    """Return the ends of each score with the levels as the second axis."""
    return {name: np.stack(of_levels, axis=1) for name, of_levels in ends.items()}


def _ends(values: np.ndarray) -> np.ndarray:
    """Return the ends of the interval of draws (draw, ...); NaN where a draw has no score."""
    return np.quantile(values, [(1 - SHARE) / 2, (1 + SHARE) / 2], axis=0)
