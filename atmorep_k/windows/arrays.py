"""The arrays of a batch, and what goes into it beside values: when and where each token is."""

from collections.abc import Sequence

import numpy as np

from atmorep_k.batch import TOKEN_INFO, calendar, input_specs
from atmorep_k.fields import FieldSpec

Arrays = dict[str, np.ndarray]


def empty_batch(
    fields: Sequence[FieldSpec], batch_size: int, slots: dict[str, int]
) -> tuple[Arrays, Arrays, Arrays]:
    """Returns the arrays (inputs, targets, weights) of a batch as `batch` says, not yet filled.

    Fresh memory every time: backends may keep using it in place of a copy.

    Args:
        fields: the fields; those that are input only have no target and no weight.
        batch_size: samples.
        slots: name of a predicted field -> masked slots per sample and level.
    """
    specs = input_specs(fields, slots)
    inputs = {n: np.empty((batch_size, *shape), t) for n, (shape, t) in specs.items()}
    targets, weights = {}, {}
    for field in fields:
        if field.predicted:
            shape = (batch_size, len(field.levels), slots[field.name])
            targets[field.name] = np.empty((*shape, field.token_values), np.float32)
            weights[field.name] = np.empty(shape, np.float32)
    return inputs, targets, weights


class TokenInfoFiller:
    """The eight numbers of a field's tokens, see `batch.TOKEN_INFO`.

    Args:
        field: the field.
        time: `(time,)` datetime64 of the store.
        latitude: `(lat,)` degrees of the store.
        longitude: `(lon,)` degrees of the store.
        resolution: spacing in latitude, degrees.
    """

    def __init__(self, field: FieldSpec, time, latitude, longitude, resolution: float):
        self._middle = [size // 2 for size in field.token_size]
        self._steps = field.token_size
        self._calendar = calendar(time)
        self._colatitude = (90.0 - latitude).astype(np.float32)
        self._longitude = (longitude % 360.0).astype(np.float32)
        self._level = np.asarray(field.levels, np.float32)[:, None, None, None]
        self._resolution = resolution

    def fill(self, out: np.ndarray, times, rows, columns) -> None:
        """Writes the numbers of a window into `out` (level, T, Y, X, 8).

        Args:
            out: is filled.
            times: `(time,)` indices of the window's times in the store.
            rows: `(lat,)` indices of its latitudes.
            columns: `(lon,)` indices of its longitudes.
        """
        step, height, width = self._steps
        # The time of a token is its last hour and its place the middle point, as in the original.
        last = self._calendar[times[step - 1 :: step]][:, None, None]
        column = TOKEN_INFO.index
        out[..., column("year") : column("hour") + 1] = last
        out[..., column("level")] = self._level
        out[..., column("colatitude")] = self._colatitude[rows[self._middle[1] :: height]][:, None]
        out[..., column("longitude")] = self._longitude[columns[self._middle[2] :: width]]
        # The level occurs twice in TOKEN_INFO; `index` finds the first.
        out[..., column("longitude") + 1] = self._level
        out[..., column("resolution")] = self._resolution
