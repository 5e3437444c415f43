"""Windows that show, at hours which have been predicted, what was predicted."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from atmorep_k.batch import detokenize, tokenize
from atmorep_k.fields import FieldSpec, Position
from atmorep_k.inference.frame import Frame
from atmorep_k.inference.tiling import Tiling
from atmorep_k.protocols import Axes, Masking, Normalizer
from atmorep_k.windows.opened import StoreWindows
from atmorep_k.windows.sample import Sample


class FedWindows:
    """The windows of a dataset, one course of the atmosphere put in place of what the store has.

    Args:
        dataset: opened for a model.
        frame: the grid that is predicted; all windows lie on it.
        fields: the `FieldSpec`s that are fed.
        normalizers: field -> normaliser.
    """

    def __init__(
        self,
        dataset: StoreWindows,
        frame: Frame,
        fields: Sequence[FieldSpec],
        normalizers: Mapping[str, Normalizer],
    ):
        self._dataset, self._frame = dataset, frame
        self._fields, self._normalizers = fields, normalizers
        # Field -> time -> physical values (level, lat, lon) on the grid of the frame.
        self._fed: dict[str, dict[np.datetime64, np.ndarray]] = {f.name: {} for f in fields}
        assert isinstance(frame.tiling, Tiling), "windows at places cannot be fed"
        self._rows = _places(frame.tiling.rows.points)
        self._columns = _places(frame.tiling.columns.points)

    def feed(self, prediction: xr.Dataset) -> None:
        """Takes over a prediction of one time without members; forgets what no window shows."""
        leads = prediction["prediction_timedelta"].values
        hours = prediction["time"].values + leads
        for field in self._fields:
            values = prediction[field.name]
            if "level" in values.dims:
                values = values.sel(level=list(field.levels))
            else:
                values = values.expand_dims("level", 1)
            fed = self._fed[field.name]
            fed |= dict(zip(hours, values.values, strict=True))
            for hour in sorted(fed)[: -field.window.shape[0]]:
                del fed[hour]

    def indices(self, position: Position, field: str | None = None) -> Axes:
        """Returns what the dataset does."""
        return self._dataset.indices(position, field)

    def sample(self, position: Position, masking: Masking, rng: np.random.Generator) -> Sample:
        """Returns the sample of the dataset with the hours that are fed."""
        found = self._dataset.sample(position, masking, rng)
        inputs = dict(found.inputs)
        for field in self._fields:
            name = f"{field.name}/tokens"
            inputs[name] = self._with_fed(field, position, inputs[name])
        return dataclasses.replace(found, inputs=inputs)

    def _with_fed(self, field: FieldSpec, position: Position, tokens: np.ndarray) -> np.ndarray:
        """Returns tokens (level, T, Y, X, value) with what is fed; masked hours are never fed."""
        times, _, _ = self._dataset.coordinates(position, field.name)
        fed = self._fed[field.name]
        steps = [number for number, time in enumerate(times) if time in fed]
        if not steps:
            return tokens
        _, rows, columns = self._dataset.indices(position, field.name)
        place = np.ix_(self._rows[rows], self._columns[columns])
        physical = np.stack([fed[times[n]][:, *place] for n in steps], axis=1)
        normalizer = self._normalizers[field.name]
        cube = detokenize(tokens, field.token_size)
        cube[:, steps] = normalizer.normalize(physical, times[steps], rows, columns)
        return tokenize(cube, field.token_size)


def _places(points: np.ndarray) -> np.ndarray:
    """Returns where each index of a store's axis lies among some of them."""
    places = np.zeros(points.max() + 1, int)
    places[points] = np.arange(len(points))
    return places
