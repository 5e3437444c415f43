"""Places of tokens: which of them a model sees, and at what latitudes they lie."""

import numpy as np
from keras import ops

from atmorep_k.batch import TOKEN_INFO
from atmorep_k.fields import FieldSpec


def visible_first(masked, tokens_per_level: int):
    """Sorts the tokens of a field into those to encode and those that enter at the decoder.

    Args:
        masked: (batch, level, masked) row-major indices, all different within a level.
        tokens_per_level: tokens of a level.

    Returns:
        Indices of the visible tokens (batch, level * visible) in the sequence of all levels, and a
        dict with those of the `"hidden"` ones (batch, level * masked) and the `"order"` (batch,
        token) that puts visible and masked ones, one behind the other, back into their places.
    """
    levels, slots = masked.shape[1], masked.shape[2]
    length = levels * tokens_per_level
    offsets = ops.arange(levels, dtype="int32")[None, :, None] * tokens_per_level
    hidden = ops.reshape(masked + offsets, (-1, levels * slots))
    flags = ops.max(ops.one_hot(masked, tokens_per_level, dtype="int32"), axis=2)
    flags = ops.reshape(flags, (-1, length))
    # Keys are all different, so that the order does not depend on a sort being stable.
    keys = flags * length + ops.arange(length, dtype="int32")
    visible = ops.argsort(keys, axis=-1)[:, : length - levels * slots]
    visible = ops.cast(visible, "int32")
    order = ops.argsort(ops.concatenate([visible, hidden], axis=1), axis=-1)
    return visible, {"hidden": hidden, "order": ops.cast(order, "int32")}


def masked_tokens(field: FieldSpec, tokens, masked):
    """Returns the masked tokens (batch, level, masked, channel) of a field.

    Args:
        field: the tokens' `FieldSpec`.
        tokens: (batch, ..., channel), all levels and tokens in row-major order.
        masked: (batch, level, masked) indices within a level.
    """
    shape = (-1, len(field.levels), field.tokens_per_level, tokens.shape[-1])
    return ops.take_along_axis(ops.reshape(tokens, shape), masked[..., None], axis=2)


def token_latitudes(field: FieldSpec, token_info, masked):
    """Returns the latitudes in degrees (batch, level, masked, value) of the masked tokens' points.

    Args:
        field: the tokens' `FieldSpec`; rows of a token run from north to south.
        token_info: (batch, level, time, lat, lon, 8), see `atmorep_k.batch.TOKEN_INFO`.
        masked: (batch, level, masked) indices of the tokens.
    """
    info = ops.reshape(token_info, (-1, len(field.levels), field.tokens_per_level, len(TOKEN_INFO)))
    info = ops.take_along_axis(info, masked[..., None], axis=2)
    times, rows, columns = field.token_size
    row = np.repeat(np.tile(np.arange(rows), times), columns) - rows // 2
    centre = 90.0 - info[..., TOKEN_INFO.index("colatitude")]
    spacing = info[..., TOKEN_INFO.index("resolution")]
    offsets = ops.convert_to_tensor(row.astype("float32"))
    return centre[..., None] - spacing[..., None] * offsets
