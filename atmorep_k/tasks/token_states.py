"""Windows with nothing masked: the inputs of a model, and the states of their tokens."""

import dataclasses
import functools
from typing import Any

import numpy as np

from atmorep_k.batch import tokenize
from atmorep_k.earth.variables import canonical_name
from atmorep_k.errors import unknown
from atmorep_k.fields import FieldSpec, Position
from atmorep_k.figures.maps import unwrap
from atmorep_k.inference.hours import Hours, all_hours
from atmorep_k.model import AtmoRep
from atmorep_k.protocols import Model
from atmorep_k.windows.opened import StoreWindows


def chosen_field(model: Model, name: str | None) -> FieldSpec:
    """Returns the field of a name or an alias; the first that is predicted if None.

    Raises:
        UserError: if the model does not have it.
    """
    if name is None:
        return model.predicted[0]
    found = [f for f in model.fields if f.name == canonical_name(name)]
    if not found:
        raise unknown("field of the model", name, [f.name for f in model.fields])
    return found[0]


def seen_hours(model: Model, field: FieldSpec) -> Hours:
    """Returns all hours of a window with nothing masked; the last one has its time."""
    hours = all_hours(model.fields, [field])
    return dataclasses.replace(hours, reference=int(hours.shown[-1]))


def seen_whole(model: Model, dataset: StoreWindows, position: Position) -> dict[str, np.ndarray]:
    """Returns the inputs of a model for a window with nothing masked.

    As `atmorep_k.batch` says, without the batch axis and without masked indices.

    Args:
        model: the model.
        dataset: opened for its fields.
        position: the window.

    Raises:
        UserError: if a value is missing.
    """
    inputs = {}
    for field in model.fields:
        name, place = field.name, dataset.indices(position, field.name)[1:]
        times = dataset.coordinates(position, name)[0]
        cube = dataset.cube(name, position)
        normalized = model.normalizers[name].normalize(cube, times, *place)
        inputs[f"{name}/tokens"] = tokenize(normalized, field.token_size)
        inputs[f"{name}/token_info"] = dataset.token_info(name, position)
    return inputs


def states(
    model: AtmoRep, field: FieldSpec, inputs: dict[str, Any], decode: bool
) -> tuple[list, Any]:
    """Returns the outputs of all layers of a field's encoder, and that of its decoder.

    Args:
        model: an `AtmoRep`.
        field: one of its fields.
        inputs: as those of the model; without masked indices, all tokens are encoded.
        decode: whether to run the decoder; else what it returns is None.

    Returns:
        A list of (batch, level, time, space, channel) or (batch, token, channel), the last layer
        last, and one such array.
    """
    wanted = [field.name]
    embedded = model.embed(inputs, wanted)
    starts, encoded = model.encode_fields(embedded, inputs, wanted=wanted)
    encoded = encoded[field.name]
    if not decode:
        return encoded, None
    decoder = functools.partial(model.part("decoder", field.name), training=False)
    return encoded, model.at(field.name, decoder, starts[field.name], encoded)


def decodes_all(model: AtmoRep, field: FieldSpec) -> bool:
    """Tells whether a field's decoder takes all tokens of a window, even where none is masked."""
    return field.predicted and model.encode != "apart"


def token_centres(
    dataset: StoreWindows, field: FieldSpec, position: Position
) -> dict[str, np.ndarray]:
    """Returns `level`, `time`, `latitude` and `longitude` of the middles of a window's tokens.

    A middle is the mean of the token's points; longitudes ascend without a jump.
    """
    times, latitude, longitude = dataset.coordinates(position, field.name)
    times = times.astype("datetime64[ns]")
    points = ((times - times[0]).astype(np.int64), latitude, unwrap(longitude))
    after, latitude, longitude = (
        along.reshape(-1, size).mean(axis=1)
        for along, size in zip(points, field.token_size, strict=True)
    )
    return {
        "level": np.asarray(field.levels, np.float64),
        "time": times[0] + after.astype("timedelta64[ns]"),
        "latitude": latitude,
        "longitude": longitude,
    }
