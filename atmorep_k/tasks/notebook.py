"""Models in a notebook: the window at a time and place, its prediction, and a rollout."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from atmorep_k.batch import detokenize, tokenize
from atmorep_k.components.maskings import Forecast
from atmorep_k.earth.times import iso
from atmorep_k.errors import UserError
from atmorep_k.fields import Position
from atmorep_k.inference.batches import forget_shapes, scatter
from atmorep_k.inference.hours import step
from atmorep_k.inference.opening import open_dataset, opened_model
from atmorep_k.inference.starts import parse_times
from atmorep_k.inference.tiling import without_jump

if TYPE_CHECKING:
    import xarray as xr


class Windows:
    """The windows of a store as a model sees them.

    Args:
        store: path or address of a store, or `"demo"`.
        model: a model, or the path of a saved one or of its run.
        stores: field (or an alias) -> path of the store that has it; all others are in `store`.
        windows_after: how many windows may follow after the end of the record, for `rollout_steps`.

    Raises:
        UserError: if the model or the store does not exist, or they do not fit each other.

    Example:
        >>> import atmorep_k
        >>> model = atmorep_k.load_model("runs/pretrain_field")  # doctest: +SKIP
        >>> windows = atmorep_k.Windows("demo", model)  # doctest: +SKIP
        >>> sample = windows.at("2000-01-19T06", 50, 10)  # doctest: +SKIP
        >>> forecast = atmorep_k.predict(model, sample)  # doctest: +SKIP
    """

    def __init__(
        self,
        store: str | Path,
        model,
        *,
        stores: dict[str, str] | None = None,
        windows_after: int = 8,
    ):
        self.model, _ = opened_model(model, str(store), stores)
        self.field = self.model.predicted[0]
        self.opened = open_dataset(str(store), stores, self.model, self.field.name, windows_after)

    def at(self, time, latitude: float, longitude: float, *, ahead: int = 1) -> "WindowSample":
        """Returns the window whose middle is nearest to a place.

        Args:
            time: the last hour before those that a forecast predicts (text or datetime64).
            latitude: degrees north.
            longitude: degrees east.
            ahead: time tokens of the window after `time`, as many as are to be forecast; with 0
                the window ends at `time`. Hours after the record are NaN.

        Raises:
            UserError: if the place or the hours up to `time` are not in the store, or a value
                is missing.
        """
        position = Position(self._start(time, ahead), *self._corner(latitude, longitude))
        cubes = {f.name: self.opened.cube(f.name, position) for f in self.model.fields}
        return WindowSample(self, position, cubes)

    def _start(self, time, ahead: int) -> int:
        store, window = self.opened.store_of(), self.field.window
        if not 0 <= ahead < self.field.num_tokens[0]:
            most = self.field.num_tokens[0] - 1
            raise UserError(f"ahead must be 0 to {most}, for this model, not {ahead}.")
        (last,) = parse_times([time])
        seen = window.shape[0] - ahead * self.field.token_size[0]
        times = last - np.arange(seen)[::-1] * step(window)
        missing = times[~np.isin(times, store.time)]
        if len(missing):
            record = f"{iso(store.time[0])} to {iso(store.time[-1])}"
            raise UserError(
                f"the window at {iso(last)} needs {iso(missing[0])}, which is not in {store.path}; "
                f"it holds {record}."
            )
        return int(np.searchsorted(store.time, times[0]))

    def _corner(self, latitude: float, longitude: float) -> tuple[int, int]:
        store, (_, height, width) = self.opened.store_of(), self.field.window.shape
        rows, columns = self.opened.corners()
        spacing = [abs(float(axis[1] - axis[0])) for axis in (store.latitude, store.longitude)]
        middle = (store.latitude[rows] + store.latitude[rows + height - 1]) / 2
        north = np.abs(middle - latitude)
        # Eastwards from the first column, so that windows across 0 degrees need no special case.
        middle = store.longitude[columns] + (width - 1) / 2 * spacing[1]
        east = np.abs((middle - longitude + 180) % 360 - 180)
        row, column = int(north.argmin()), int(east.argmin())
        if north[row] > height / 2 * spacing[0] or east[column] > width / 2 * spacing[1]:
            raise UserError(f"no window in {store.path} holds the place ({latitude}, {longitude}).")
        return int(rows[row]), int(columns[column])


@dataclasses.dataclass(frozen=True)
class WindowSample:
    """One window of values, before anything is masked.

    Args:
        windows: where it comes from.
        position: where its corner lies in the reference store.
        cubes: field -> physical values `(level, time, lat, lon)`; hours not known are NaN.
    """

    windows: Windows
    position: Position
    cubes: dict[str, np.ndarray]

    def after(self, prediction: "xr.Dataset") -> "WindowSample":
        """Returns the window that follows: moved on by the predicted hours, which it shows.

        Args:
            prediction: a forecast of this window without `number`: one member, or the mean.

        Raises:
            UserError: if fields are predicted for different hours.
        """
        model, opened = self.windows.model, self.windows.opened
        known = {f.name: _cube(f, prediction[f.name]) for f in model.predicted}
        hours = {int(np.isfinite(k).any((0, 2, 3)).sum()) for k in known.values()}
        spans = {f.window.step_hours for f in model.predicted}
        if len(hours) > 1 or len(spans) > 1:
            raise UserError("a rollout needs fields that are all predicted for the same hours.")
        (moved,) = hours
        time = opened.store_of().time
        stride = round(step(self.windows.field.window) / np.diff(time).min())
        position = dataclasses.replace(self.position, time=self.position.time + moved * stride)
        cubes = {}
        for field in model.fields:
            if field.predicted:
                values = known[field.name]
                values = np.where(np.isnan(values), self.cubes[field.name], values)
                coming = np.full_like(values[:, :moved], np.nan)
                cubes[field.name] = np.concatenate([values[:, moved:], coming], axis=1)
            else:
                cubes[field.name] = opened.cube(field.name, position)
        return WindowSample(self.windows, position, cubes)


def _cube(field, values: "xr.DataArray") -> np.ndarray:
    if "level" in values.dims:
        values = values.sel(level=list(field.levels))
    else:
        values = values.expand_dims("level")
    return values.transpose("level", "time", "latitude", "longitude").values


def predict(model, sample: WindowSample, *, masking=None, seed: int = 0) -> "xr.Dataset":
    """Predicts what a masking masks of a window.

    Args:
        model: the model of the sample's windows.
        sample: the window, see `Windows.at`.
        masking: what is masked, such as `components.maskings.RandomTokens()`; `Forecast()`, the
            last time token, if None.
        seed: of what the masking draws.

    Returns:
        For each predicted field `<field>` in physical units, with dimensions `number` (member),
        `level` (where the field has levels), `time`, `latitude`, `longitude`: the whole window,
        NaN where nothing was masked.

    Raises:
        UserError: if a value that would be visible is missing, such as an hour after the
            record, the masking does not suit a field, or fields lie on different grids.
    """
    masking = masking or Forecast()
    inputs, weights = _masked(model, sample, masking, np.random.default_rng(seed))
    forget_shapes(model)
    predicted = model.predict_on_batch({name: a[None] for name, a in inputs.items()})
    arrays = []
    for field in model.predicted:
        index = inputs[f"{field.name}/masked_index"]
        values = np.asarray(predicted[field.name], np.float32)[0]
        masked, members = scatter(field, index, weights[field.name], values)
        opened, position = sample.windows.opened, sample.position
        times = opened.coordinates(position, field.name)[0]
        _, *place = opened.indices(position, field.name)
        members = model.normalizers[field.name].denormalize(members, times, *place)
        arrays.append(_labelled(sample, field, np.where(masked, members, np.nan)))
    return _together(arrays)


def _masked(model, sample: WindowSample, masking, rng):
    """Returns the inputs of a model without batch axis, and the weights of masked tokens."""
    opened, inputs, weights = sample.windows.opened, {}, {}
    for field in model.fields:
        name = field.name
        times = opened.coordinates(sample.position, name)[0]
        _, *place = opened.indices(sample.position, name)
        cube = model.normalizers[name].normalize(sample.cubes[name], times, *place)
        tokens = np.ascontiguousarray(tokenize(cube, field.token_size), np.float32)
        inputs[f"{name}/token_info"] = opened.token_info(name, sample.position)
        if field.predicted:
            masked = masking(tokens, field.token_size, rng)
            tokens, weights[name] = masked.tokens, masked.weight
            inputs[f"{name}/masked_index"] = masked.index
        inputs[f"{name}/tokens"] = tokens
        if np.isnan(tokens).any():
            step_of = np.isnan(detokenize(tokens, field.token_size)).any((0, 2, 3))
            raise UserError(
                f"{name!r} has no values at {iso(times[step_of][0])}, which the masking leaves "
                f"visible; mask that hour or take an earlier window."
            )
    return inputs, weights


def _labelled(sample: WindowSample, field, values: np.ndarray) -> "xr.DataArray":
    import xarray as xr

    opened = sample.windows.opened
    times, latitude, longitude = opened.coordinates(sample.position, field.name)
    info = opened.store_of(field.name).variables[field.name]
    coordinates = {"number": np.arange(len(values)), "level": np.array(field.levels, float)}
    coordinates |= {"time": times, "latitude": latitude, "longitude": without_jump(longitude)}
    words = {"units": info.units, "standard_name": info.standard_name}
    attributes = {k: v for k, v in words.items() if v or k == "units"}
    labelled = xr.DataArray(values, coordinates, tuple(coordinates), field.name, attributes)
    return labelled if info.has_level else labelled.isel(level=0, drop=True)


def _together(arrays: list) -> "xr.Dataset":
    import xarray as xr

    first, *others = arrays
    for other in others:
        for axis in ("time", "latitude", "longitude"):
            if not np.array_equal(first[axis].values, other[axis].values):
                raise UserError(
                    f"{first.name!r} and {other.name!r} are on different grids or at different "
                    f"hours ({axis}); a labelled window needs fields of one grid."
                )
    return xr.merge(arrays, join="outer", compat="equals", combine_attrs="drop_conflicts")


def rollout_steps(model, sample: WindowSample, *, tokens: int = 1) -> Iterator["xr.Dataset"]:
    """Yields forecasts without end, each made from the mean of the one before.

    The function `rollout` writes files, and follows each member; this generator is short enough
    to copy and change, for example to feed `forecast.isel(number=0)`.

    Args:
        model: the model of the sample's windows.
        sample: the first window, from `windows.at(..., ahead=tokens)`.
        tokens: time tokens that are forecast at once.

    Raises:
        UserError: as `predict`; where the windows do not reach further after the record.
    """
    masking = Forecast(tokens)
    while True:
        forecast = predict(model, sample, masking=masking)
        yield forecast
        sample = sample.after(forecast.mean("number"))
