"""The task, domain and output of a prediction: the arguments of `run`, and its result."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atmorep_k.inference.variants import Variants, WindowChoice
from atmorep_k.protocols import Masking, Model

if TYPE_CHECKING:
    import xarray as xr

    from atmorep_k.data.stores.base import Store
    from atmorep_k.earth.places import Place


# Function of a model: the masking, or several of which no two mask the same.
MaskingFor = Callable[[Model], Masking | list[Masking]]


@dataclasses.dataclass(frozen=True)
class Task:
    """What a model does with its windows.

    Args:
        name: for the attribute `task` of the result.
        title: what it makes, such as `"Forecast"`, for the title of the result.
        masking_for: function model -> the masking, or several of which no two mask the same;
            none where `choose` says what is masked.
        whole: whether the result holds whole windows; else the hours that the masking masks.
        at_random: whether the masking draws what it masks; the result then holds whole windows.
        seed: seed of the draws.
        after_hours: how many hours after the end of the record windows may begin.
        variants: other inputs for which every window is predicted too, and what becomes of them.
        choose: function (model, dataset, starts, frame) -> which windows are predicted, where
            that depends on the data; takes the place of the masking.
        settings: what `variants` and `choose` depend on; its `repr` tells a prediction that may
            be resumed from any other.
    """

    name: str
    title: str
    masking_for: MaskingFor
    whole: bool = False
    at_random: bool = False
    seed: int = 0
    after_hours: float = 0
    variants: Variants = dataclasses.field(default_factory=Variants)
    choose: Callable[..., WindowChoice] | None = None
    settings: Any = None


@dataclasses.dataclass(frozen=True)
class Domain:
    """Where a model predicts, and what of it.

    Args:
        store: path of a store, or `"demo"`.
        stores: field (or an alias) -> path of the store that has it, see `WindowDataset`.
        fields: the predicted fields that are written, which must share grid and time step; all if
            None. Those that are not written may lie on any grid.
        region: (south, north, west, east) in degrees; None for the whole grid.
        places: places to predict at, each in a window of its own, in place of a region.
        overlap: tokens of the first written field that neighbouring windows share in (lat, lon),
            at most half a window; there they are blended.
    """

    store: str
    stores: Mapping[str, str] | None = None
    fields: Sequence[str] | None = None
    region: Sequence[float] | None = None
    places: "Sequence[Place] | None" = None
    overlap: Sequence[int] = (0, 0)


@dataclasses.dataclass(frozen=True)
class Output:
    """Where a prediction goes.

    Args:
        path: file (`.nc`) or directory (`.zarr`) to write to, time by time; it appears when it is
            complete. None: the result is kept in memory.
        overwrite: replace an existing output.
        resume: continue what the same call left when it was stopped, if anything; for an output
            that ends in `.zarr`.
        members: give all members; else only their mean and spread.
    """

    path: str | Path | None = None
    overwrite: bool = False
    resume: bool = False
    members: bool = True


@dataclasses.dataclass(frozen=True)
class Answer:
    """A prediction, and what it was made with.

    Args:
        prediction: for each written field `<field>` in physical units, with dimensions `(time,
            prediction_timedelta, number, level, latitude, longitude)`; without members `<field>`
            is their mean and `<field>_spread` their standard deviation. Read from the output as
            it is used, where there is one.
        model: the model, opened.
        stores: written field -> its store.
    """

    prediction: "xr.Dataset"
    model: Model
    stores: "Mapping[str, Store]"
