"""What one token looks at: weights recorded while attention is computed as it always is."""

import contextlib
import contextvars
import dataclasses
from collections.abc import Callable, Iterator

import numpy as np
from keras import ops

from atmorep_k.backend.internals.keras import current_path

# Names of the queries (row, token) and of the keys (row, other): indices of tokens of their fields.
Arrangement = tuple[np.ndarray, np.ndarray]

_active: contextvars.ContextVar["AttentionRecord | None"] = contextvars.ContextVar(
    "attention_record", default=None
)


@dataclasses.dataclass(frozen=True)
class Look:
    """The weights of one token as the query, in one layer of attention.

    Args:
        path: path of the layer that asked for attention.
        axis: the axis that it goes along; None for attention of all tokens to all.
        keys: `(key,)` which tokens are looked at.
        weights: `(head, key)` float64, at least 0, of sum 1.
        difference: the largest difference of the weighted values from what the layer got.
    """

    path: str
    axis: str | None
    keys: np.ndarray
    weights: np.ndarray
    difference: float


class AttentionRecord:
    """Keeps the weights of one token while a model runs eagerly, one window at a time.

    Kernels give no weights, so these are computed once more for the row of the token alone, in
    float64, from the queries and keys that the kernel was given; what the model computes is the
    same with a record and without.

    Args:
        token: index of the token in the sequence of its field.
        sequences: path of a layer -> names of its queries and keys (1, token), which attention
            along an axis arranges anew; None for a layer that is not recorded.
    """

    def __init__(self, token: int, sequences: Callable[[str], Arrangement | None]):
        self.looks: list[Look] = []
        self._token = token
        self._sequences = sequences
        self._arranged: tuple[str, Arrangement] | None = None

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        """Records what happens in the block."""
        reset = _active.set(self)
        try:
            yield
        finally:
            _active.reset(reset)

    @contextlib.contextmanager
    def arranged(self, axis: str, names: Arrangement) -> Iterator[None]:
        """Names the tokens of what attends within, along one axis."""
        self._arranged = (axis, names)
        try:
            yield
        finally:
            self._arranged = None

    def add(self, query, key, value, attended) -> None:
        """Records one attention; arrays as those of `attend`, and what it returned."""
        names = self._sequences(current_path())
        if names is None:
            return
        axis, names = self._arranged or (None, names)
        rows, places = np.nonzero(names[0] == self._token)
        if not len(rows):
            return  # the token is not in this sequence: it is masked, and the others are encoded
        query, attended = _numbers(query)[rows, places], _numbers(attended)[rows, places]
        key, value = _numbers(key)[rows], _numbers(value)[rows]
        weights = explicit_weights(query, key)
        difference = np.abs(np.einsum("rhk,rkhd->rhd", weights, value) - attended).max()
        # A token that is repeated to meet more tokens gets the mean of what its copies find.
        shares = np.moveaxis(weights, 1, 0).reshape(weights.shape[1], -1) / len(rows)
        keys = names[1][rows].ravel()
        self.looks.append(Look(current_path(), axis, keys, shares, float(difference)))


def explicit_weights(query: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Returns softmax(q k^T / sqrt(channel)) (row, head, key).

    Args:
        query: (row, head, channel), one query of each row.
        key: (row, key, head, channel).
    """
    scores = np.einsum("rhd,rkhd->rhk", query, key) / np.sqrt(query.shape[-1])
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def note(query, key, value, attended) -> None:
    """Tells the record, where there is one, of an attention that was computed."""
    record = _active.get()
    if record is not None:
        record.add(query, key, value, attended)


def arranged(axis: str, names: Callable[[], Arrangement]):
    """Returns a context in which sequences are cut along an axis; `names` tells a record how."""
    record = _active.get()
    return contextlib.nullcontext() if record is None else record.arranged(axis, names())


def _numbers(array) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(ops.cast(array, "float32")), np.float64)
