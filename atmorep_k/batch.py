"""The batch contract: name, shape and type of every array that reaches a model.

Inputs are a flat dict. For a field `f` with `levels` levels and (T, Y, X) tokens in time, lat and
lon, of which `masked` slots per sample and level are to be predicted:

* `"f/tokens"` (batch, level, T, Y, X, value) float32: normalised and already masked
* `"f/token_info"` (batch, level, T, Y, X, 8) float32: see `TOKEN_INFO`
* `"f/masked_index"` (batch, level, masked) int32: row-major index of a token in (T, Y, X)

Targets `"f"` are (batch, level, masked, value), weights `"f"` (batch, level, masked). The indices
of a sample and level are all different; a slot of weight 0 is not scored. Shapes never change.
Fields that are input only have no masked index, no target and no weight.
"""

import numpy as np

# The eight numbers that describe a token (time: its last hour; place: its point at index size//2).
# The level stands twice, as in the original, whose weights expect eight.
TOKEN_INFO = (
    "year",
    "day_of_year",
    "hour",
    "level",
    "colatitude",
    "longitude",
    "level",
    "resolution",
)


def calendar(time: np.ndarray) -> np.ndarray:
    """Return year, day of year from 0 and hour of datetime64 times, `(..., 3)` float32.

    These are the first three numbers of `TOKEN_INFO`.
    """
    year, day = time.astype("datetime64[Y]"), time.astype("datetime64[D]")
    numbers = (
        year.astype(np.int64) + 1970,
        (day - year.astype("datetime64[D]")).astype(np.int64),
        (time - day) / np.timedelta64(1, "h"),
    )
    return np.stack(numbers, axis=-1).astype(np.float32)


def time_of(info: np.ndarray) -> np.ndarray:
    """Return the times, datetime64[s], of numbers as in `TOKEN_INFO` (..., 8): `calendar` undone.

    To the second: that is what an hour in single precision can tell.
    """
    year, day, hour = (info[..., i].astype(np.float64) for i in range(3))
    first = (year.astype(np.int64) - 1970).astype("datetime64[Y]").astype("datetime64[s]")
    return first + np.rint(86400 * day + 3600 * hour).astype("timedelta64[s]")


def tokenize(
    values: np.ndarray, token_size: tuple[int, int, int], out: np.ndarray | None = None
) -> np.ndarray:
    """Cut (..., time, lat, lon) into tokens (..., T, Y, X, value), value = t * y * x.

    Args:
        values: array whose last three sizes are multiples of `token_size`.
        token_size: points of a token in (time, lat, lon).
        out: contiguous array to write into, with one copy of the values; None for a new one.
    """
    *lead, time, lat, lon = values.shape
    t, y, x = token_size
    grid = (*lead, time // t, lat // y, lon // x)
    out = np.empty((*grid, t * y * x), values.dtype) if out is None else out
    cut = values.reshape(*lead, time // t, t, lat // y, y, lon // x, x)
    n = len(lead)
    order = (*range(n), n, n + 2, n + 4, n + 1, n + 3, n + 5)
    np.copyto(out.reshape(*grid, *token_size), cut.transpose(order))
    return out


def detokenize(tokens: np.ndarray, token_size: tuple[int, int, int]) -> np.ndarray:
    """Puts tokens (..., T, Y, X, value) together to (..., time, lat, lon): `tokenize` undone."""
    *lead, nt, ny, nx, _ = tokens.shape
    t, y, x = token_size
    n = len(lead)
    cut = tokens.reshape(*lead, nt, ny, nx, t, y, x)
    order = (*range(n), n, n + 3, n + 1, n + 4, n + 2, n + 5)
    return cut.transpose(order).reshape(*lead, nt * t, ny * y, nx * x)


def input_specs(fields, num_slots: dict[str, int]) -> dict[str, tuple[tuple[int, ...], str]]:
    """Return name -> (shape without the batch axis, dtype) of a model's inputs.

    Args:
        fields: the model's `FieldSpec`s.
        num_slots: name of a predicted field -> masked slots per sample and level.
    """
    specs = {}
    for field in fields:
        grid = (len(field.levels), *field.num_tokens)
        specs[f"{field.name}/tokens"] = ((*grid, field.token_values), "float32")
        specs[f"{field.name}/token_info"] = ((*grid, len(TOKEN_INFO)), "float32")
        if field.predicted:
            slots = (len(field.levels), num_slots[field.name])
            specs[f"{field.name}/masked_index"] = (slots, "int32")
    return specs


def batch_specs(fields, num_slots: dict[str, int]) -> tuple[dict, dict, dict]:
    """Return name -> (shape without the batch axis, dtype) of inputs, of targets and of weights.

    Args:
        fields: the model's `FieldSpec`s.
        num_slots: name of a predicted field -> masked slots per sample and level.
    """
    predicted = [f for f in fields if f.predicted]
    slots = {f.name: (len(f.levels), num_slots[f.name]) for f in predicted}
    targets = {f.name: ((*slots[f.name], f.token_values), "float32") for f in predicted}
    return input_specs(fields, num_slots), targets, {n: (s, "float32") for n, s in slots.items()}
