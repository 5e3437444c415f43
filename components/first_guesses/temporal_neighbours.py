"""A first guess from what is visible before and after a masked token."""

from collections.abc import Sequence

import keras
from keras import ops

from atmorep_k.errors import UserError
from atmorep_k.registry import Configured, component

# Steps to a visible hour where there is none: so many that the one on the other side alone counts.
FAR = 1e9


@component("first_guess")
class TemporalNeighbours(Configured, keras.layers.Layer):
    """Interpolates masked tokens, point by point, between the visible times around them.

    x(t) = (1 - w) x(t0) + w x(t1), w = (t - t0) / (t1 - t0), with t0 the last hour of the nearest
    visible token before and t1 the first hour of the next one at the same place. With a visible
    token on one side only its value stands (persistence); with none the climatology, 0.

    The members depart from that the further, the longer it is to what is visible: by

        sigma = scale (t - t0) (t1 - t) / (t1 - t0),  scale (t - t0) or scale (t1 - t) on one side,

    in steps of the window and at most 1, which is how far values go where both neighbours drift
    away at rates that are not known; by 1 from the climatology.

    A token is masked where all its values are 0, which is how maskings mask; those that are noised
    or coarsened stand for themselves, with departures of half a step. No weights, and always
    float32: the members' departures are small.

    Args:
        scale: how far an untrained model departs from persistence after one step, in standard
            deviations. Small numbers are learnt sooner where the start is small.
        token_size: points of a token in (time, lat, lon); set by the model.

    Raises:
        UserError: if the scale is not positive.

    Shapes:
        input: (batch, level, time, lat, lon, value), normalised values, masked tokens 0
        output: the same, none masked
    """

    def __init__(self, scale: float = 0.1, token_size: Sequence[int] = (1, 1, 1), **kwargs):
        kwargs["dtype"] = "float32"
        super().__init__(**kwargs)
        self.scale = scale
        self.token_size = tuple(token_size)
        if not scale > 0:
            raise UserError(f"TemporalNeighbours.scale must be positive, not {scale}.")

    def call(self, tokens):
        """Returns the tokens, of masked ones the guess."""
        hours = self._hours(tokens)
        visible, before, after, since, until = _around(hours)
        start = _of_token(hours[..., -1, :], ops.maximum(before, 0))
        end = _of_token(hours[..., 0, :], ops.minimum(after, tokens.shape[2] - 1))
        known_before, known_after = before >= 0, after < tokens.shape[2]
        start = ops.where(known_before[..., None], start, ops.where(known_after[..., None], end, 0))
        end = ops.where(known_after[..., None], end, start)
        weight = (since / (since + until))[..., None]
        between = start[..., None, :] + weight * (end - start)[..., None, :]
        guess = ops.where(visible[..., None, None], hours, between)
        return ops.reshape(guess, ops.shape(tokens))

    def departures(self, tokens):
        """Returns sigma, how far members depart from the guess, in the shape of the tokens."""
        hours = self._hours(tokens)
        *_, since, until = _around(hours)
        sigma = ops.minimum(self.scale * since * until / (since + until), 1.0)
        return ops.reshape(sigma[..., None] * ops.ones_like(hours), ops.shape(tokens))

    def compute_output_shape(self, input_shape):
        """Returns the shape of the tokens."""
        return input_shape

    def _hours(self, tokens):
        """Returns the tokens as (batch, level, time, lat, lon, hour, point)."""
        number = self.token_size[0]
        return ops.reshape(tokens, (*ops.shape(tokens)[:-1], number, tokens.shape[-1] // number))


def _around(hours):
    """Returns what is visible around tokens (batch, level, time, lat, lon, hour, point).

    Returns:
        Which tokens are visible and the numbers of the nearest visible ones before and after in
        time, -1 and T where there is none, (batch, level, time, lat, lon); the steps of each hour
        since the last visible one and until the next, (batch, level, time, lat, lon, hour).
    """
    times, number = hours.shape[2], hours.shape[-2]
    visible = ops.any(ops.not_equal(hours, 0), axis=(-2, -1))
    before, after = _nearest(visible, times)
    step = ops.reshape(ops.arange(times * number, dtype="float32"), (1, 1, times, 1, 1, number))
    last = ops.cast(before * number + number - 1, "float32")[..., None]
    next_ = ops.cast(after * number, "float32")[..., None]
    # A visible token is its own neighbour: what its hours are from each other is of no account.
    since = ops.where((before >= 0)[..., None], ops.maximum(step - last, 1.0), FAR)
    until = ops.where((after < times)[..., None], ops.maximum(next_ - step, 1.0), FAR)
    return visible, before, after, since, until


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
