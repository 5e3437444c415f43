"""The last layer of a model per token, computed window by window and labelled."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import keras
import numpy as np
import xarray as xr
from keras import ops

from atmorep_k._version import __version__
from atmorep_k.data.stores.base import Store
from atmorep_k.data.stores.layout import encode_time, level_attributes
from atmorep_k.errors import UserError
from atmorep_k.fields import FieldSpec, Position
from atmorep_k.inference.checks import check_grid
from atmorep_k.inference.hours import step
from atmorep_k.inference.opening import open_dataset, opened_model
from atmorep_k.inference.output import check_prediction_output, collect
from atmorep_k.inference.predicting import THREADS, read_ahead
from atmorep_k.inference.request import Answer, Domain, Output
from atmorep_k.inference.starts import parse_times, window_starts
from atmorep_k.inference.tiling import Tiling, tile, without_jump
from atmorep_k.model import AtmoRep
from atmorep_k.tasks.token_states import chosen_field, decodes_all, seen_hours, seen_whole, states
from atmorep_k.windows.opened import StoreWindows

_DIMS = ("time", "level", "token_time", "latitude", "longitude", "feature")
_MINUTE = np.timedelta64(1, "m")


def features_of(
    model: Any,
    times: Sequence,
    domain: Domain,
    output: Output,
    *,
    field: str | None,
    origin: str,
    batch_size: int,
    progress: Callable[[int, int], None] | None = None,
) -> Answer:
    """Returns what the last layer of a part makes of each token, and what it was made with.

    Args:
        model: a model, or its path.
        times: the last hours of windows.
        domain: the stores, and the region of the middles of tokens.
        output: where the result goes.
        field: name or alias; the first that is predicted if None.
        origin: `"encoder"` or `"decoder"`.
        batch_size: windows at once.
        progress: called with the number of windows done so far, and of all.

    Raises:
        UserError: if something does not fit; checked before work begins.
    """
    if output.path is not None:
        check_prediction_output(Path(output.path), output.overwrite, dim="feature")
    if batch_size < 1:
        raise UserError(f"the batch size must be at least 1, not {batch_size}.")
    parse_times(times)
    model, name = opened_model(model, domain.store, domain.stores)
    spec = chosen_field(model, field)
    _check_origin(model, spec, origin)
    dataset = open_dataset(domain.store, domain.stores, model, spec.name)
    starts = window_starts(dataset, model.fields, [spec], seen_hours(model, spec), times)
    grid = _Grid(dataset.store_of(), spec, domain.region)
    positions = [p for start in starts for p in grid.positions(start)]
    check_grid(dataset, model.fields, [spec], positions)
    attributes = {
        "Conventions": "CF-1.11",
        "title": f"Last layer of the {origin} of an AtmoRep model",
        "source": f"atmorep_k {__version__}, model {name}",
        "store": str(grid.store.path),
        "field": spec.name,
    }
    layer = _States(model, spec, origin == "decoder")
    found = _pieces(layer, dataset, grid, starts, batch_size, progress)
    pieces = (piece.assign_attrs(attributes) for piece in found)
    made = collect(pieces, grid.encoding(), output.path)
    return Answer(made, model, {spec.name: grid.store})


def _check_origin(model: AtmoRep, field: FieldSpec, origin: str) -> None:
    if origin not in ("encoder", "decoder"):
        raise UserError(f"features come from the encoder or the decoder, not from {origin!r}.")
    if origin == "decoder" and not decodes_all(model, field):
        why = "is input only" if not field.predicted else "decodes masked tokens only"
        raise UserError(f"{field.name!r} {why}: it has features of the encoder only.")


class _States(keras.Model):
    """Gives the last layer of a part of a model, (batch, level, T, Y, X, channel) float32.

    Args:
        model: an `AtmoRep`.
        field: one of its fields.
        decode: whether of the decoder; else of the encoder.
    """

    def __init__(self, model: AtmoRep, field: FieldSpec, decode: bool):
        super().__init__(name="states", autocast=False)
        self.model = model
        self.field = field
        self.decode = decode

    def build(self, input_shape=None):
        """Makes nothing: the model has its weights."""

    def call(self, inputs, training=False):
        """Returns the states of all tokens of a window with nothing masked."""
        encoded, decoded = states(self.model, self.field, inputs, self.decode)
        last = decoded if self.decode else encoded[-1]
        shape = (-1, len(self.field.levels), *self.field.num_tokens, last.shape[-1])
        return ops.cast(ops.reshape(last, shape), "float32")


class _Grid:
    """The tokens that cover a store or a region of it, and the windows that have them.

    Args:
        store: the store of the field.
        field: the field.
        region: (south, north, west, east) of the middles of tokens, or None.

    Raises:
        UserError: if a window does not fit.
    """

    def __init__(self, store: Store, field: FieldSpec, region: Sequence[float] | None):
        self.store, self.field = store, field
        _, self._height, self._width = field.token_size
        latitude = _middles(store.latitude, self._height)
        longitude = _middles(store.longitude, self._width)
        closed = store.is_global and len(store.longitude) % self._width == 0
        size = field.num_tokens[1:]
        self.tiling: Tiling = tile(latitude, longitude, closed, size, (0, 0), region, "tokens")
        self.latitude = latitude[self.tiling.rows.points]
        self.longitude = without_jump(longitude[self.tiling.columns.points])

    def positions(self, start: int) -> list[Position]:
        """Returns the windows that begin at an index of the store's times."""
        return [
            Position(p.time, p.row * self._height, p.column * self._width)
            for p in self.tiling.tiles(int(start))
        ]

    @property
    def middles(self) -> np.ndarray:
        """`(token,)` timedelta64 from the end of a window to the middles of its tokens."""
        steps = np.arange(self.field.window.shape[0])
        steps = _middles(steps - steps[-1], self.field.token_size[0])
        nanoseconds = step(self.field.window).astype(np.int64)
        return (steps * nanoseconds).astype("timedelta64[ns]")

    def canvas(self, channels: int) -> np.ndarray:
        """Returns room for the states of all tokens, (level, T, lat, lon, channel)."""
        levels, times = len(self.field.levels), self.field.num_tokens[0]
        return np.full((levels, times, *self.tiling.shape, channels), np.nan, np.float32)

    def dataset(self, start: int, values: np.ndarray) -> xr.Dataset:
        """Labels the states of the windows that begin at an index of the store's times."""
        window = self.field.window
        time = self.store.time[start] + (window.shape[0] - 1) * step(window)
        words = {"standard_name": "time", "long_name": "last hour of the window", "axis": "T"}
        level = level_attributes(self.store.attributes.get("level_type", ""))
        coordinates = {
            "time": ("time", [time], words),
            "level": ("level", np.asarray(self.field.levels, np.float64), {**level, "axis": "Z"}),
            "token_time": ("token_time", self.middles, {"long_name": "middle of the token"}),
            "latitude": ("latitude", self.latitude, {"units": "degrees_north", "axis": "Y"}),
            "longitude": ("longitude", self.longitude, {"units": "degrees_east", "axis": "X"}),
            "feature": ("feature", np.arange(values.shape[-1])),
        }
        attributes = {"units": "1", "long_name": "hidden state of tokens"}
        return xr.Dataset({"features": (_DIMS, values[None], attributes)}, coordinates)

    def encoding(self) -> dict[str, dict]:
        """Returns how times are written, the same for all of them."""
        _, units = encode_time(self.store.time)
        unit = "seconds" if np.any(self.middles % _MINUTE) else "minutes"
        return {
            "time": {"units": units, "calendar": "proleptic_gregorian", "dtype": "int64"},
            "token_time": {"units": unit, "dtype": "int64"},
        }


def _middles(points: np.ndarray, size: int) -> np.ndarray:
    """Returns the means of whole tokens along an axis, without what is left at its end."""
    whole = len(points) // size * size
    return points[:whole].reshape(-1, size).mean(axis=1)


def _pieces(
    run: _States, dataset: StoreWindows, grid: _Grid, starts, batch_size: int, progress
) -> Iterator:
    """Yields the labelled features of each time."""
    done, total = 0, len(starts) * len(grid.tiling)
    size = min(batch_size, len(grid.tiling))

    def read(item: tuple[int, Position]):
        return seen_whole(run.model, dataset, item[1])

    with ThreadPoolExecutor(THREADS, thread_name_prefix="atmorep_k-windows") as pool:
        for start in starts:
            canvas = grid.canvas(run.field.embed_dim)
            items = list(enumerate(grid.positions(start)))
            for batch, windows in read_ahead(pool, read, items, size):
                for (number, _), values in zip(batch, _run(run, windows, size), strict=False):
                    rows, columns = grid.tiling.place(number)
                    row, column = np.nonzero(grid.tiling.weight(number, blend=False))
                    canvas[:, :, rows[row], columns[column]] = values[:, :, row, column]
                done += len(windows)
                if progress:
                    progress(done, total)
            yield grid.dataset(int(start), canvas)


def _run(run: _States, windows: list[dict], size: int) -> np.ndarray:
    """Returns the states of a batch, which is filled to its size: shapes never change."""
    full = windows + windows[-1:] * (size - len(windows))
    inputs = {name: np.stack([window[name] for window in full]) for name in full[0]}
    return np.asarray(run.predict_on_batch(inputs))
