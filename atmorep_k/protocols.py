"""What the core relies on: the methods that a model, windows, maskings and normalisers must have.

Classes need not derive from these protocols; mypy compares their methods. Axes of arrays are named
as in `atmorep_k.batch`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from atmorep_k.fields import FieldSpec, Position

Arrays = dict[str, np.ndarray]
# Indices of the times, rows and columns of a window in a store.
Axes = tuple[np.ndarray, np.ndarray, np.ndarray]


class Masked(Protocol):
    """The tokens of one field and sample as a model sees them, and what it is to predict."""

    @property
    def tokens(self) -> np.ndarray:
        """Tokens `(level, T, Y, X, value)` float32, masked."""

    @property
    def index(self) -> np.ndarray:
        """Row-major index in (T, Y, X) of each slot, `(level, slot)` int32."""

    @property
    def target(self) -> np.ndarray:
        """Clean values of the tokens at `index`, `(level, slot, value)` float32."""

    @property
    def weight(self) -> np.ndarray:
        """Weight of each slot, `(level, slot)` float32; 0 where it is not scored."""


class Masking(Protocol):
    """Chooses the tokens of a window that are masked, and are to be predicted."""

    @property
    def hides_wholly(self) -> bool:
        """Whether nothing of a masked token stays visible, so that a model may leave it out."""

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the masking anew."""

    def masked_times(self, num_times: int, /) -> list[int]:
        """Return the time tokens that are masked everywhere in every window; empty if none are.

        Raises:
            UserError: if the masking does not suit a window of so many time tokens.
        """

    def num_slots(self, num_tokens: tuple[int, int, int], /) -> int:
        """Return the slots per sample and level for a window of (T, Y, X) tokens.

        Raises:
            UserError: if the masking does not suit the window.
        """

    def __call__(
        self,
        tokens: np.ndarray,
        token_size: tuple[int, int, int],
        rng: np.random.Generator,
        *,
        copy: bool = True,
    ) -> Masked:
        """Return what the model sees and what it is to predict.

        Args:
            tokens: `(level, T, Y, X, value)` float32, normalised, contiguous.
            token_size: points of a token in (time, lat, lon).
            rng: source of all randomness.
            copy: leave `tokens` as they are; else they are masked in place.
        """


class Normalizer(Protocol):
    """Scales the values of one field, and keeps what it needs for that with a saved model.

    In all methods `times` (time,) are datetime64, and `rows` (lat,) and `columns` (lon,) are
    indices of the grid that the normaliser was fitted to.
    """

    @property
    def is_fitted(self) -> bool:
        """Whether there are statistics to normalise with."""

    @property
    def num_levels(self) -> int:
        """Number of levels that the statistics are of."""

    @property
    def latitude(self) -> np.ndarray | None:
        """Latitudes `(lat,)` of the grid that it was fitted to; None if there are no statistics."""

    @property
    def longitude(self) -> np.ndarray | None:
        """Longitudes `(lon,)` of that grid, likewise."""

    def hold(self, times: np.ndarray) -> None:
        """Read now what these times need, so that it is saved with the model."""

    def scale(
        self, times: np.ndarray, rows: np.ndarray, columns: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return offset and scale, float32, that broadcast to (level, time, lat, lon)."""

    def normalize(
        self,
        cube: np.ndarray,
        times: np.ndarray,
        rows: np.ndarray,
        columns: np.ndarray,
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return normalised values, float32, of physical values (level, time, lat, lon)."""

    def denormalize(
        self, values: np.ndarray, times: np.ndarray, rows: np.ndarray, columns: np.ndarray
    ) -> np.ndarray:
        """Return physical values, float32, of normalised values (..., level, time, lat, lon)."""

    def state(self) -> Arrays:
        """Return the arrays that a saved model keeps; empty if there are none."""

    def load_state(self, state: Arrays) -> None:
        """Take up what `state` returned."""


class Sample(Protocol):
    """One window: where it is, what is there, what a model sees of it and is to predict."""

    @property
    def position(self) -> Position:
        """The corner of the window in the reference."""

    @property
    def cubes(self) -> Arrays:
        """Field -> physical values `(level, time, lat, lon)`, nothing masked."""

    @property
    def inputs(self) -> Arrays:
        """Inputs of a model as `atmorep_k.batch` names them, without the batch axis."""

    @property
    def targets(self) -> Arrays:
        """Predicted field -> `(level, masked, value)`, normalised."""

    @property
    def weights(self) -> Arrays:
        """Predicted field -> `(level, masked)`; 0 for a slot that is not scored."""


class Windows(Protocol):
    """Gives the windows of a prediction.

    `windows.opened.StoreWindows` gives them as they are in their stores; a task may change what
    the model sees of them.
    """

    def sample(self, position: Position, masking: Masking, rng: np.random.Generator, /) -> Sample:
        """Return the window at a position, a pure function of the arguments.

        Args:
            position: its corner in the reference.
            masking: chooses what is masked.
            rng: source of the masks.

        Raises:
            UserError: if the masking does not suit a field, or a value is missing.
        """

    def indices(self, position: Position, field: str | None = None, /) -> Axes:
        """Return the indices of a window's times, rows and columns in a field's store.

        Args:
            position: its corner in the reference.
            field: the field; the reference itself if None.
        """


class Model(Protocol):
    """Predicts the masked tokens of its fields."""

    @property
    def name(self) -> str:
        """How results call the model."""

    @property
    def fields(self) -> Sequence[FieldSpec]:
        """All fields of the model."""

    @property
    def predicted(self) -> Sequence[FieldSpec]:
        """The fields that the model predicts; the others are input only."""

    @property
    def normalizers(self) -> Mapping[str, Normalizer]:
        """Field -> its normaliser."""

    def predict_on_batch(self, inputs: Arrays, /) -> Mapping[str, Any]:
        """Return field -> members `(batch, level, masked, member, value)` of a batch of inputs.

        Args:
            inputs: as `atmorep_k.batch` names them; shapes are the same in every call.
        """
