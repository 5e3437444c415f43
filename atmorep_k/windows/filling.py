"""From values as they are stored to normalised tokens, with as few copies as can be."""

import numpy as np

from atmorep_k.batch import tokenize
from atmorep_k.data.stores.packing import Packing

Scale = tuple[np.ndarray, np.ndarray]


def fill_tokens(
    stored: np.ndarray,
    packing: Packing | None,
    scale: Scale,
    token_size: tuple[int, int, int],
    out: np.ndarray,
) -> None:
    """Writes (value - mean) / std of a window into the tokens of a batch.

    Values are put into the order of tokens as they are stored. Unpacking and normalising are then
    one multiplication and one addition: x = s stored + o, so (x - m) / d = (s / d) stored +
    (o - m) / d.

    Args:
        stored: (level, time, lat, lon), float32 or the integers of a packed variable; not changed.
        packing: how integers become values; None for values.
        scale: mean and std, which broadcast to (level, time, lat, lon).
        token_size: points of a token in (time, lat, lon).
        out: (level, T, Y, X, value) float32, filled.
    """
    if scale[0].shape[2:] != (1, 1):
        cube = np.empty(stored.shape, np.float32)
        _normalize(stored, packing, scale, cube)
        tokenize(cube, token_size, out=out)
        return
    # By level, so that what was put in order is still in the processor's cache.
    tokens = np.empty(out.shape[1:], stored.dtype) if packing else None
    by_token = [_by_token(part, token_size[0]) for part in scale]
    for level in range(len(stored)):
        target = out[level] if tokens is None else tokens
        tokenize(stored[level], token_size, out=target)
        of_level = packing and Packing(packing.scale[level], packing.offset[level])
        shape = *target.shape[:3], token_size[0], -1
        mean, std = (part[level : level + 1] for part in by_token)
        _normalize(target.reshape(1, *shape), of_level, (mean, std), out[level].reshape(1, *shape))


def _normalize(stored: np.ndarray, packing: Packing | None, scale: Scale, out) -> None:
    mean, std = scale
    if packing is None:
        np.subtract(stored, mean, out=out)
        np.divide(out, std, out=out)
        return
    step, offset = (a.reshape(-1, *(1,) * (mean.ndim - 1)) for a in (packing.scale, packing.offset))
    np.multiply(stored, (step / std).astype(np.float32), out=out)
    np.add(out, ((offset - mean) / std).astype(np.float32), out=out)


def _by_token(scale: np.ndarray, times: int) -> np.ndarray:
    """Returns (level, time, 1, 1) as (level, T, 1, 1, t, 1)."""
    if scale.shape[1] == 1:
        return scale[..., None, None]
    return scale.reshape(len(scale), -1, 1, 1, times, 1)
