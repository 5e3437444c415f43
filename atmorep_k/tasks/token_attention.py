"""The attention of one token of a window: recorded while the model runs, and labelled."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from keras import ops

from atmorep_k._version import __version__
from atmorep_k.backend.attention_record import Arrangement, AttentionRecord
from atmorep_k.components.maskings import Forecast
from atmorep_k.data.stores.base import Store
from atmorep_k.data.stores.layout import encode_time, level_attributes
from atmorep_k.errors import UserError
from atmorep_k.fields import FieldSpec, Position
from atmorep_k.files import writing_whole
from atmorep_k.inference.checks import check_grid
from atmorep_k.inference.hours import Hours, hidden_hours
from atmorep_k.inference.opening import open_dataset, opened_model
from atmorep_k.inference.output import check_prediction_output
from atmorep_k.inference.request import Answer, Domain, Output
from atmorep_k.inference.starts import parse_times, window_starts
from atmorep_k.model import AtmoRep
from atmorep_k.model.tokens import visible_first
from atmorep_k.tasks.attention_data import TOKEN_DIMS, labelled, place_of
from atmorep_k.tasks.token_states import (
    chosen_field,
    decodes_all,
    seen_hours,
    seen_whole,
    states,
    token_centres,
)


@dataclasses.dataclass(frozen=True)
class Token:
    """Which token looks: the one that contains a place, a level and an hour.

    Args:
        at: latitude and longitude in degrees.
        field: name or alias; the first that is predicted if None.
        level: the level; the first of the field if None.
        hour: hours after the time of the window; the last of the window if None.
    """

    at: Sequence[float]
    field: str | None = None
    level: float | None = None
    hour: float | None = None


def attention_of(
    model: Any,
    time: Any,
    domain: Domain,
    output: Output,
    token: Token,
    *,
    hide: int = 0,
    layer: int | None = None,
) -> Answer:
    """Returns the attention weights of one token as the query, and what they were made with.

    Args:
        model: a model, or its path.
        time: the last hour that the model sees.
        domain: the stores.
        output: a NetCDF file, or None.
        token: the query.
        hide: time tokens at the end of the window that are masked.
        layer: a layer that must exist.

    Raises:
        UserError: if something does not fit; checked before work begins.
    """
    if output.path is not None:
        check_prediction_output(Path(output.path), output.overwrite, (".nc",))
    parse_times([time])
    model, name = opened_model(model, domain.store, domain.stores)
    field = chosen_field(model, token.field)
    hours, masking = _hours(model, field, hide)
    _check_layer(model, field, layer)
    dataset = open_dataset(domain.store, domain.stores, model, field.name)
    query = _Query(dataset.store_of(), field, hours, token)
    (start,) = window_starts(dataset, model.fields, [field], hours, [time])
    position = query.position(int(start))
    check_grid(dataset, model.fields, [field], [position])
    if masking is None:
        inputs = seen_whole(model, dataset, position)
    else:
        inputs = dataset.sample(position, masking, np.random.default_rng(0)).inputs
    looks = _looks(model, field, {k: v[None] for k, v in inputs.items()}, query.token)
    centres = {f.name: token_centres(dataset, f, position) for f in model.fields}
    found = labelled(looks, centres, field.name)
    own = zip(TOKEN_DIMS, query.index, strict=True)
    found = found.assign(hidden=_hidden(field, hide)).assign_coords(
        {f"query_{dim}": centres[field.name][dim][n] for dim, n in own}
    )
    found["level"].attrs |= level_attributes(query.store.attributes.get("level_type", ""))
    found.attrs = {
        "Conventions": "CF-1.11",
        "title": "Attention of one token of an AtmoRep model",
        "source": f"atmorep_k {__version__}, model {name}",
        "store": str(query.store.path),
        "field": field.name,
        "hidden_time_tokens": hide,
        "largest_difference_from_kernel": max(look.difference for look in looks),
    }
    if output.path is not None:
        write_netcdf(found, Path(output.path))
    return Answer(found, model, {field.name: query.store})


def _hours(model: AtmoRep, field: FieldSpec, hide: int) -> tuple[Hours, Any]:
    """Returns the hours of the window, the last visible of which has the time, and the masking."""
    most = min(f.num_tokens[0] for f in model.predicted) - 1
    if not 0 <= hide <= most:
        raise UserError(f"hide must be 0 to {most}, for this model, not {hide}.")
    if hide and not field.predicted:
        raise UserError(
            f"{field.name!r} is input only and never masked; choose one of "
            f"{', '.join(f.name for f in model.predicted)}, or mask nothing (hide=0)."
        )
    if hide:
        masking = Forecast(num_tokens=hide)
        return hidden_hours(masking, model.fields, [field]), masking
    return seen_hours(model, field), None


def _check_layer(model: AtmoRep, field: FieldSpec, layer: int | None) -> None:
    parts = ["encoder", "decoder"] if field.predicted else ["encoder"]
    depth = max(model.part(part, field.name).num_layers for part in parts)
    if layer is not None and not 0 <= layer < depth:
        raise UserError(f"the layer must be 0 to {depth - 1}, for {field.name!r}, not {layer}.")


class _Query:
    """The token that looks: where it lies in its window, and the window in the store.

    Args:
        store: the store of the field.
        field: the field.
        hours: the steps of the window that matter.
        token: its place, level and hour.

    Raises:
        UserError: if the place, level or hour does not exist.
    """

    def __init__(self, store: Store, field: FieldSpec, hours: Hours, token: Token):
        self.store, self.field = store, field
        rows, columns = (len(a) for a in (store.latitude, store.longitude))
        row, column = _nearest_point(store, token.at)
        corner, tokens = [], []
        for axis, (point, length, open_) in enumerate(
            ((row, rows, True), (column, columns, not store.is_global)), start=1
        ):
            size, window = field.token_size[axis], field.window.shape[axis]
            first = point - field.num_tokens[axis] // 2 * size - size // 2
            first = min(max(first, 0), length - window) if open_ else first % length
            corner.append(first)
            tokens.append((point - first) % length // size)
        self._corner = tuple(corner)
        level, time = self._level(token.level), self._time(hours, token.hour)
        self.index = (level, time, *tokens)

    def _level(self, level: float | None) -> int:
        levels = [float(n) for n in self.field.levels]
        if level is not None and float(level) not in levels:
            listed = ", ".join(f"{n:g}" for n in levels)
            raise UserError(
                f"the model has {self.field.name!r} at level {listed}, not at {level:g}."
            )
        return 0 if level is None else levels.index(float(level))

    def _time(self, hours: Hours, hour: float | None) -> int:
        window, length = self.field.window, self.field.token_size[0]
        before, last = hours.reference, window.shape[0] - 1
        step = last if hour is None else before + math.ceil(hour / window.step_hours - 1e-6)
        if not 0 <= step <= last:
            first, final = (n * window.step_hours for n in (-before, last - before))
            raise UserError(
                f"the hour must be {first:g} to {final:g} after the time, which are the hours of "
                f"the window, not {hour:g}."
            )
        return step // length

    @property
    def token(self) -> int:
        """The index of the token in the sequence of all levels."""
        return int(np.ravel_multi_index(self.index, (len(self.field.levels), *self._grid)))

    @property
    def _grid(self) -> tuple[int, int, int]:
        return self.field.num_tokens

    def position(self, start: int) -> Position:
        """Returns the window that begins at an index of the store's times."""
        return Position(start, *self._corner)


def _nearest_point(store: Store, at: Sequence[float]) -> tuple[int, int]:
    """Returns row and column of the point of a store nearest to a place.

    Raises:
        UserError: if the place is not valid, or further from the grid than half its spacing.
    """
    if len(at) != 2 or not -90 <= at[0] <= 90 or not -360 <= at[1] <= 360:
        raise UserError(
            f"a place is a latitude of -90 to 90 and a longitude of -360 to 360 degrees, "
            f"not {tuple(at)}."
        )
    latitude, longitude = store.latitude, store.longitude
    north = np.abs(latitude - at[0])
    east = np.abs((longitude - at[1] + 180) % 360 - 180)
    half = [np.abs(np.diff(axis)).max() / 2 + 1e-6 for axis in (latitude, longitude)]
    # Between a pole and the last row of a globe there is no other point.
    if not store.is_global and (north.min() > half[0] or east.min() > half[1]):
        raise UserError(
            f"the place {at[0]:g}, {at[1]:g} (latitude, longitude) is outside {store.path}, which "
            f"has latitudes {latitude.min():g} to {latitude.max():g} and longitudes "
            f"{longitude[0]:g} to {longitude[-1]:g}."
        )
    return int(north.argmin()), int(east.argmin())


def _looks(model: AtmoRep, field: FieldSpec, inputs: dict, token: int) -> list:
    """Runs the model eagerly on one window and returns what the token looked at."""
    hidden = f"{field.name}/masked_index" in inputs
    inputs = {name: ops.convert_to_tensor(values) for name, values in inputs.items()}
    record = AttentionRecord(token, _sequences(model, field, inputs))
    with record.recording():
        states(model, field, inputs, decode=decodes_all(model, field) or hidden)
    if not record.looks:
        raise UserError(
            "the token attends to nothing: it is masked, and this model neither encodes masked "
            "tokens nor computes attention by `attend`."
        )
    return record.looks


def _sequences(
    model: AtmoRep, field: FieldSpec, inputs: dict
) -> Callable[[str], Arrangement | None]:
    """Returns the function path -> names of queries and keys that `AttentionRecord` asks."""
    encoded = {f.name: np.arange(len(f.levels) * f.tokens_per_level)[None] for f in model.fields}
    decoded = encoded[field.name]
    if model.encode != "all":
        for other in model.predicted:
            if f"{other.name}/masked_index" in inputs:
                masked = inputs[f"{other.name}/masked_index"]
                visible, rest = visible_first(masked, other.tokens_per_level)
                encoded[other.name] = ops.convert_to_numpy(visible)
                if other is field and model.encode == "apart":
                    decoded = ops.convert_to_numpy(rest["hidden"])

    def names(path: str) -> Arrangement | None:
        place = place_of(path)
        if place is None or place.field != field.name:
            return None
        part, other = place.keys
        queries = encoded[field.name] if place.part == "encoder" else decoded
        return queries, decoded if part == "decoder" else encoded[other]

    return names


def _hidden(field: FieldSpec, hide: int) -> xr.Variable:
    shape = (len(field.levels), *field.num_tokens)
    hidden = np.zeros(shape, bool)
    hidden[:, shape[1] - hide :] = True
    return xr.Variable(TOKEN_DIMS, hidden, {"long_name": "whether the token was masked"})


def write_netcdf(found: xr.Dataset, output: Path) -> None:
    """Writes the result as a compressed NetCDF 4 file, whole or not at all."""
    _, units = encode_time(found["time"].values)
    encoding: dict[Any, dict[str, Any]] = {
        name: {"zlib": True, "complevel": 1} for name in found.data_vars
    }
    for name in found.coords:
        if np.issubdtype(found[name].dtype, np.datetime64):
            encoding[name] = {"units": units, "dtype": "float64"}
    with writing_whole(output) as partial:
        found.to_netcdf(partial, encoding=encoding, engine="netcdf4")
