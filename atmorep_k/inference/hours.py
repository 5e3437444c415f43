"""The time steps of a window that a prediction is about."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from atmorep_k.errors import UserError
from atmorep_k.fields import FieldSpec, Window
from atmorep_k.protocols import Masking


@dataclasses.dataclass(frozen=True)
class Hours:
    """The time steps of a window that a prediction is about.

    Args:
        shown: `(step,)` steps of the written fields' window in the result, ascending.
        reference: the step whose time names the prediction; lead times count from it.
        known: field -> the last step of its own window whose values must be in its store.
    """

    shown: np.ndarray
    reference: int
    known: dict[str, int]


def hidden_hours(
    masking: Masking, fields: Sequence[FieldSpec], written: Sequence[FieldSpec]
) -> Hours:
    """Returns the steps that a masking always masks; the one before them names the prediction.

    Fields may have different masked steps, where their tokens differ in length.

    Args:
        masking: masks the same time tokens of every window.
        fields: the `FieldSpec`s of a model.
        written: those that the result is about, all with one window.

    Raises:
        UserError: if nothing is visible before the masked hours, or the masking does not suit
            a field.
    """
    hidden = {f.name: _hidden_steps(masking, f) for f in fields if f.predicted}
    shown = np.unique(np.concatenate([hidden[f.name] for f in written]))
    if shown[0] == 0:
        raise UserError(
            "the first time token of a window cannot be masked: nothing comes before it."
        )
    known = {}
    for field in fields:
        steps = np.arange(field.window.shape[0])
        known[field.name] = int(np.setdiff1d(steps, hidden.get(field.name, []))[-1])
    return Hours(shown, int(shown[0]) - 1, known)


def all_hours(fields: Sequence[FieldSpec], written: Sequence[FieldSpec]) -> Hours:
    """Returns all steps of a window, the first of which names the prediction."""
    times = written[0].window.shape[0]
    return Hours(np.arange(times), 0, {f.name: f.window.shape[0] - 1 for f in fields})


def _hidden_steps(masking: Masking, field: FieldSpec) -> np.ndarray:
    tokens = np.array(masking.masked_times(field.num_tokens[0]), int)
    length = field.token_size[0]
    return (tokens[:, None] * length + np.arange(length)).ravel()


def step(window: Window) -> np.timedelta64:
    """Returns the time between two steps of a window."""
    return np.timedelta64(round(window.step_hours * 3600), "s").astype("timedelta64[ns]")
