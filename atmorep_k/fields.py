"""What a field is: its window in space and time, its levels and how it is cut into tokens."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Literal

from atmorep_k.errors import UserError
from atmorep_k.registry import Component, component


@component("specification")
class Window(Component):
    """The space-time cube that a sample shows.

    All fields of a model see the same hours and the same degrees, each in points of its own: a
    field may have another time step and another grid, from another store. A time stands for the
    step that ends there, so that windows of the same hours end at the same time. Hours are checked
    when a model is made, degrees when grids are known: by the dataset.

    Args:
        shape: points in (time, lat, lon).
        step_hours: hours between two time points of the window.

    Raises:
        UserError: if a size is not positive.
    """

    def __init__(self, shape: Sequence[int] = (36, 54, 108), step_hours: float = 1.0):
        sizes = tuple(int(n) for n in shape)
        self.step_hours = float(step_hours)
        if len(sizes) != 3 or min(sizes) < 1 or self.step_hours <= 0:
            raise UserError(
                f"a window needs three positive sizes (time, lat, lon) and a positive step, "
                f"not {sizes} and {self.step_hours} h."
            )
        time, lat, lon = sizes
        self.shape = (time, lat, lon)

    @property
    def hours(self) -> float:
        """The hours that all time points stand for."""
        return self.shape[0] * self.step_hours

    def __eq__(self, other):
        return isinstance(other, Window) and self.get_config() == other.get_config()

    def __hash__(self):
        return hash((self.shape, self.step_hours))

    def __repr__(self):
        return f"Window(shape={self.shape}, step_hours={self.step_hours})"


@dataclasses.dataclass(frozen=True, order=True)
class Position:
    """The corner of a window, as indices into the axes of a store: with several, the reference's.

    Args:
        time: its first time; times after the record of the store count on.
        row: its northernmost latitude.
        column: its westernmost longitude.
    """

    time: int
    row: int
    column: int


@component("specification")
class FieldSpec(Component):
    """A field of a model: its name, levels, tokens and embedding.

    Args:
        name: the field's name as in WeatherBench 2 (`temperature`), or an alias of it.
        levels: the levels in the units of the store; `[0]` for a field at the surface.
        token_size: points of a token in (time, lat, lon).
        window: the window that the tokens tile.
        embed_dim: channels of an embedded token.
        loss_weight: weight of the field in the total loss.
        normalization: monthly statistics of the whole field (`"global"`) or of each grid point.
        couplings: names of the fields that this one attends to, in each layer of its encoder.
        predicted: whether the field is masked and predicted; else it is input only.

    Raises:
        UserError: if the tokens do not tile the window (names the nearest size that does), or a
            field is coupled to itself or twice to another.
    """

    def __init__(
        self,
        name: str,
        levels: Sequence[float],
        token_size: Sequence[int],
        window: Window,
        embed_dim: int = 256,
        loss_weight: float = 1.0,
        normalization: Literal["global", "grid_point"] = "global",
        couplings: Sequence[str] = (),
        predicted: bool = True,
    ):
        from atmorep_k.earth.variables import canonical_name

        self.name = canonical_name(name)
        self.levels = tuple(levels)
        sizes = tuple(int(n) for n in token_size)
        if len(sizes) != 3 or min(sizes) < 1:
            raise UserError(
                f"field {self.name!r}: a token needs three positive sizes, not {sizes}."
            )
        time, lat, lon = sizes
        self.token_size = (time, lat, lon)
        self.window = window
        self.embed_dim = int(embed_dim)
        self.loss_weight = float(loss_weight)
        self.normalization = normalization
        self.couplings = tuple(canonical_name(other) for other in couplings)
        self.predicted = bool(predicted)
        self._check()

    def _check(self) -> None:
        if not self.levels or len(set(self.levels)) != len(self.levels):
            raise UserError(
                f"field {self.name!r} needs one or more levels, each once, not {list(self.levels)}."
            )
        others = self.couplings
        if self.name in others or len(set(others)) != len(others):
            raise UserError(
                f"field {self.name!r} can attend to other fields, to each once, not to "
                f"{list(others)}."
            )
        if any(n % size for n, size in zip(self.window.shape, self.token_size, strict=True)):
            fitting = tuple(map(_nearest_divisor, self.window.shape, self.token_size))
            raise UserError(
                f"field {self.name!r}: tokens of {self.token_size} points do not tile the window "
                f"{self.window.shape} (time, lat, lon); the nearest that do: {fitting}."
            )

    @property
    def middle_level(self):
        """The level that is shown where one has to stand for all."""
        return self.levels[len(self.levels) // 2]

    @property
    def num_tokens(self) -> tuple[int, int, int]:
        """Tokens of one level in (time, lat, lon)."""
        sizes = zip(self.window.shape, self.token_size, strict=True)
        time, lat, lon = (points // size for points, size in sizes)
        return time, lat, lon

    @property
    def tokens_per_level(self) -> int:
        """Number of tokens of one level."""
        return math.prod(self.num_tokens)

    @property
    def token_values(self) -> int:
        """Number of values in a token."""
        return math.prod(self.token_size)

    def __repr__(self):
        return (
            f"FieldSpec({self.name!r}, levels={list(self.levels)}, tokens={self.num_tokens} "
            f"of {self.token_size}, embed_dim={self.embed_dim})"
        )


def _nearest_divisor(total: int, size: int) -> int:
    divisors = [d for d in range(1, total + 1) if total % d == 0]
    return min(divisors, key=lambda d: (abs(d - size), -d))


def check_hours(fields: Sequence[FieldSpec]) -> None:
    """Check that the windows of fields cover the same hours.

    Raises:
        UserError: if two do not; says which times would fit.
    """
    for field in fields[1:]:
        hours, window = fields[0].window.hours, field.window
        if not math.isclose(hours, window.hours):
            times = max(1, round(hours / window.step_hours))
            raise UserError(
                f"all fields of a model see the same hours, but {fields[0].name!r} sees "
                f"{hours:g} h and {field.name!r} {window.hours:g} h ({window.shape[0]} times every "
                f"{window.step_hours:g} h); {times} times every {hours / times:g} h would fit."
            )
