"""A first guess from what is visible before and after a hidden token."""

from collections.abc import Sequence

import keras
from keras import ops

from atmorep_k.errors import UserError
from atmorep_k.registry import Configured, component


@component("first_guess")
class TemporalNeighbours(Configured, keras.layers.Layer):
    """Interpolates hidden tokens, point by point, between the visible times around them.

    x(t) = (1 - w) x(t0) + w x(t1), w = (t - t0) / (t1 - t0), with t0 the last hour of the nearest
    visible token before and t1 the first hour of the next one at the same place. With a visible
    token on one side only its value stands (persistence); with none the climatology, 0.

    A token is hidden where all its values are 0, which is how maskings hide; those that are noised
    or coarsened stand for themselves. No weights, and always float32: the members' departures are
    small.

    Args:
        scale: size of the departures that an untrained model adds to the guess, in standard
            deviations. Small numbers are learnt sooner where the start is small.
        token_size: points of a token in (time, lat, lon); set by the model.

    Raises:
        UserError: where the scale is not positive.

    Shapes:
        input: (batch, level, time, lat, lon, value), normalised values, hidden tokens 0
        output: the same, none hidden
    """

    def __init__(self, scale: float = 0.1, token_size: Sequence[int] = (1, 1, 1), **kwargs):
        kwargs["dtype"] = "float32"
        super().__init__(**kwargs)
        self.scale = scale
        self.token_size = tuple(token_size)
        if not scale > 0:
            raise UserError(f"TemporalNeighbours.scale must be positive, not {scale}.")

    def call(self, tokens):
        """Returns the tokens, of hidden ones the guess."""
        times, hours = tokens.shape[2], self.token_size[0]
        # Points of one hour are neighbours, (..., hour, point).
        cut = ops.reshape(tokens, (*ops.shape(tokens)[:-1], hours, tokens.shape[-1] // hours))
        visible = ops.any(ops.not_equal(tokens, 0), axis=-1)
        before, after = _nearest(visible, times)
        known_before, known_after = before >= 0, after < times
        start = _of_token(cut[..., -1, :], ops.where(known_before, before, 0))
        end = _of_token(cut[..., 0, :], ops.where(known_after, after, 0))
        weight = _weight(before, after, known_before, known_after, hours)[..., None]
        nothing = ops.logical_not(ops.logical_or(known_before, known_after))
        mixed = (1 - weight) * start[..., None, :] + weight * end[..., None, :]
        mixed = ops.where(nothing[..., None, None], 0.0, mixed)
        guess = ops.where(visible[..., None, None], cut, mixed)
        return ops.reshape(guess, ops.shape(tokens))

    def depart(self, guess, members):
        """Returns the predicted values.

        Args:
            guess: (batch, level, masked, value).
            members: (batch, level, masked, member, value), what the tails made.
        """
        return guess[..., None, :] + self.scale * members

    def compute_output_shape(self, input_shape):
        """Returns the shape of the tokens."""
        return input_shape


def _nearest(visible, times: int):
    """Returns the nearest visible time token not after and not before; -1 and T where none."""
    number = ops.reshape(ops.arange(times, dtype="int32"), (1, 1, 1, times, 1, 1))
    # Axes (batch, level, time asked for, time looked at, lat, lon).
    asked, seen = ops.swapaxes(number, 2, 3), visible[:, :, None]
    past, future = asked >= number, asked <= number
    before = ops.max(ops.where(ops.logical_and(seen, past), number, -1), axis=3)
    after = ops.min(ops.where(ops.logical_and(seen, future), number, times), axis=3)
    return before, after


def _of_token(values, index):
    """Returns values (batch, level, time, lat, lon, point) of the time tokens at `index`."""
    return ops.take_along_axis(values, index[..., None], axis=2)


def _weight(before, after, known_before, known_after, hours: int):
    """Returns the weight of the visible hour after, (batch, level, time, lat, lon, hour)."""
    times = before.shape[2]
    step = ops.reshape(ops.arange(times * hours, dtype="float32"), (1, 1, times, 1, 1, hours))
    start = ops.cast(before * hours + hours - 1, "float32")[..., None]
    end = ops.cast(after * hours, "float32")[..., None]
    # A visible token stands for itself: what is divided by is of no account there.
    weight = (step - start) / ops.maximum(end - start, 1.0)
    only_after = ops.logical_not(known_before)[..., None]
    only_before = ops.logical_not(known_after)[..., None]
    return ops.where(only_before, 0.0, ops.where(only_after, 1.0, weight))
