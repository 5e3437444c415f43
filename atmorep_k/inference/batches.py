"""Batches of windows: stacked, predicted, and put back where their tokens belong."""

from collections.abc import Callable

import numpy as np

from atmorep_k.batch import detokenize
from atmorep_k.protocols import Model

Arrays = dict[str, np.ndarray]


def forget_shapes(model: Model) -> None:
    """Prepares a model for a masking with another number of slots than before.

    TensorFlow leaves open in a second trace what differs from the first, and a model that encodes
    visible tokens only must know how many they are.
    """
    import keras

    if not isinstance(model, keras.Model):
        return
    if getattr(model, "encode", "all") != "all" and keras.backend.backend() == "tensorflow":
        model.make_predict_function(force=True)


def predict_batch(
    model: Model,
    samples: list,
    batch_size: int,
    change: Callable[[Arrays], Arrays] | None = None,
) -> Arrays:
    """Returns field -> (batch, level, masked, member, value) of a batch filled to its size.

    Args:
        model: predicts.
        samples: the windows.
        batch_size: of every batch.
        change: returns other inputs of the same shapes for those of the batch.
    """
    inputs = stacked(samples, batch_size)
    predictions = model.predict_on_batch(change(inputs) if change else inputs)
    return {name: np.asarray(values, np.float32) for name, values in predictions.items()}


def stacked(samples: list, batch_size: int) -> Arrays:
    """Returns the inputs of a batch that is filled to its size by its last window."""
    full = samples + samples[-1:] * (batch_size - len(samples))
    return {name: np.stack([s.inputs[name] for s in full]) for name in samples[0].inputs}


def hidden_tokens(field, sample) -> tuple[np.ndarray, np.ndarray]:
    """Returns index and weight (level, masked) of the masked tokens of a window."""
    return sample.inputs[f"{field.name}/masked_index"], sample.weights[field.name]


def hidden_points(field, index: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Returns which points (level, time, lat, lon) of a window are masked; see `scatter`."""
    level, slot = np.nonzero(weight > 0)
    hidden = np.zeros((len(field.levels), field.tokens_per_level, field.token_values), bool)
    hidden[level, index[level, slot]] = True
    return _whole(field, hidden)


def scatter(
    field, index: np.ndarray, weight: np.ndarray, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Puts predicted tokens where they belong in the window.

    Args:
        field: the `FieldSpec`.
        index: (level, masked) row-major index of the tokens.
        weight: (level, masked); slots of weight 0 are left out.
        values: (level, masked, member, value).

    Returns:
        `hidden` bool (level, time, lat, lon), and the members (member, level, time, lat, lon), 0
        where nothing was masked.
    """
    level, slot = np.nonzero(weight > 0)
    token = index[level, slot]
    shape = (len(field.levels), field.tokens_per_level, field.token_values)
    members = np.zeros((values.shape[2], *shape), np.float32)
    members[:, level, token] = values[level, slot].swapaxes(0, 1)
    return hidden_points(field, index, weight), _whole(field, members)


def _whole(field, tokens: np.ndarray) -> np.ndarray:
    grid = tokens.reshape(*tokens.shape[:-2], *field.num_tokens, tokens.shape[-1])
    return detokenize(grid, field.token_size)
