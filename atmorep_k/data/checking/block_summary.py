"""What a check needs to know of a block of values once the values are gone."""

import dataclasses

import numpy as np

from atmorep_k.data.checking.patches import Patch
from atmorep_k.data.checking.value_reader import Block


@dataclasses.dataclass(frozen=True)
class Limits:
    """Values beyond which a level has none, `(level,)`; infinite where nothing is known.

    Args:
        low: smallest value.
        high: largest value.
    """

    low: np.ndarray
    high: np.ndarray


@dataclasses.dataclass(frozen=True)
class BlockSummary:
    """A block (time, level, lat, lon) in a few numbers for each time step and level.

    Args:
        block: which.
        low: `(time, level)` smallest finite value; infinite if there is none.
        high: `(time, level)` largest finite value; minus infinity if there is none.
        moments: `(4, time, level)` float64 sums over points, weighted by area: of 1, of the values,
            of their absolute values, of their squares; finite ones only.
        points: number of points of a step and level.
        same: `(time, level)` whether all values are those of the step before; the first is False.
        ends: bytes of the first and of the last step of each level, as a hash `(2, level)`.
        bad: values that are missing or infinite.
        beyond: finite values beyond the limits.
    """

    block: Block
    low: np.ndarray
    high: np.ndarray
    moments: np.ndarray
    points: int
    same: np.ndarray
    ends: np.ndarray
    bad: Patch | None
    beyond: Patch | None


def summarise(
    values: np.ndarray, block: Block, weights: np.ndarray, limits: Limits
) -> BlockSummary:
    """Returns the summary of a block.

    Args:
        values: `(time, level, lat, lon)` float32.
        block: where they lie.
        weights: `(lat,)` share of the area of each row of the block.
        limits: of each level.
    """
    steps, levels, *_ = values.shape
    same = np.zeros((steps, levels), bool)
    same[1:] = (values[1:] == values[:-1]).all(axis=(2, 3))
    ends = np.array([[_hash(of) for of in values[i]] for i in (0, -1)])
    low, high = values.min(axis=(2, 3)), values.max(axis=(2, 3))
    bad, finite = None, None
    # A minimum or maximum is finite only if all values are: cheaper than a mask of them.
    if not (np.isfinite(low) & np.isfinite(high)).all():
        finite = np.isfinite(values)
        bad = Patch.of(~finite, block.corner)
        low = np.where(finite, values, np.inf).min(axis=(2, 3))
        high = np.where(finite, values, -np.inf).max(axis=(2, 3))
    beyond = None
    if (low < limits.low).any() or (high > limits.high).any():
        out = (values < limits.low[:, None, None]) | (values > limits.high[:, None, None])
        beyond = Patch.of(out & np.isfinite(values), block.corner)
    points = values.shape[2] * values.shape[3]
    moments = _moments(values, weights, finite)
    return BlockSummary(block, low, high, moments, points, same, ends, bad, beyond)


def _hash(values: np.ndarray) -> int:
    import google_crc32c

    return google_crc32c.value(np.ascontiguousarray(values).tobytes())


def _moments(values: np.ndarray, weights: np.ndarray, finite: np.ndarray | None) -> np.ndarray:
    """Returns the weighted sums of 1, v, |v| and v^2, `(4, time, level)` float64."""
    # Squares are summed in float32 about the mean of a level, so that they keep their digits.
    known = values if finite is None else np.where(finite, values, 0)
    counts = np.full(values.shape[:3], values.shape[3]) if finite is None else finite.sum(axis=3)
    shift = known.mean(axis=(0, 2, 3), dtype=np.float64).astype(np.float32)
    pivot = shift[:, None, None]
    about = known - pivot if finite is None else np.where(finite, known - pivot, 0)
    sums = about.sum(axis=3, dtype=np.float64)
    # Squares of small mixing ratios are too small for float32, those of large values too large.
    size = np.maximum(about.max(axis=(0, 2, 3)), -about.min(axis=(0, 2, 3)))
    size = np.where(size > 0, size, np.float32(1))[:, None, None]
    about /= size
    squares = np.einsum("tlyx,tlyx->tly", about, about) * size[..., 0].astype(np.float64) ** 2
    shift = shift[:, None].astype(np.float64)
    rows = [
        counts,
        sums + shift * counts,
        np.abs(known, out=about).sum(axis=3, dtype=np.float64),
        squares + 2 * shift * sums + shift**2 * counts,
    ]
    return np.stack([row @ weights for row in rows])
