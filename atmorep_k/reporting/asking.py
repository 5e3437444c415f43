"""Asks the model of a run, where a store is at hand: members at places, and where a token looks."""

import dataclasses
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from atmorep_k.data.named import store_path
from atmorep_k.data.opening import open_store
from atmorep_k.data.stores.base import Store
from atmorep_k.earth.places import Place, parse_places
from atmorep_k.earth.times import iso
from atmorep_k.figures.maps import format_degrees
from atmorep_k.inference.opening import opened_model
from atmorep_k.inference.output import plots_of
from atmorep_k.protocols import Model
from atmorep_k.reporting import blocks
from atmorep_k.reporting.chapter import Section
from atmorep_k.reporting.task_chapter import drawn
from atmorep_k.tasks import Attention, Point


@dataclasses.dataclass(frozen=True)
class Asking:
    """What a model is asked.

    Args:
        store: path of a store, or `"demo"`.
        stores: those of single fields.
        time: the last hour that the model sees; None: the last after which the store has all
            that is forecast.
        places: pairs (latitude, longitude); None: three that lie across the store.
    """

    store: str
    stores: dict[str, str] | None = None
    time: str | None = None
    places: Sequence | Mapping | None = None

    def sections(self, path: Path) -> list[Section]:
        """Returns the pictures of `point` and `attention` for the model of a run.

        Raises:
            UserError: if model, store, time and places do not fit.
        """
        model, _ = opened_model(path, self.store, self.stores)
        known = open_store(store_path(self.store))
        time = self.time or _last_time(model, known)
        places = parse_places(self.places or _across(known))
        with tempfile.TemporaryDirectory() as folder:
            shown = self._ask_places(model, time, places, Path(folder, "places.csv"))
            looks = self._ask_attention(model, time, places[0], Path(folder, "attention.nc"))
        ending = f"--level {model.predicted[0].middle_level:g} --hide 1 --output attention.nc"
        return [
            Section(
                "Members at places",
                [shown, self._again("point", path, time, places, "--output places.nc")],
            ),
            Section("Attention", [looks, self._again("attention", path, time, places[:1], ending)]),
        ]

    def _ask_places(self, model: Model, time: str, places, output: Path) -> blocks.Block:
        asked = Point(model, self.store, [time], places, stores=self.stores, output=output)
        asked.present()
        return blocks.pictures(drawn(plots_of(output)))

    def _ask_attention(self, model: Model, time: str, place: Place, output: Path) -> blocks.Block:
        asked = Attention(
            model,
            self.store,
            time,
            (place.latitude, place.longitude),
            level=model.predicted[0].middle_level,
            hide=1,
            stores=self.stores,
            output=output,
        )
        asked.present()
        return blocks.pictures(drawn(plots_of(output)))

    def _again(self, task: str, path: Path, time: str, places, ending: str) -> blocks.Block:
        """Returns the command that makes the same anew, with its numbers."""
        at = " ".join(f"--at {p.latitude:g} {p.longitude:g}" for p in places)
        others = "".join(f" --store-of {f}={s}" for f, s in (self.stores or {}).items())
        line = f"atmorep-k {task} {path} --store {self.store}{others} --time {time} {at} {ending}"
        return blocks.commands(line, before="This command writes the numbers behind it:")


def _last_time(model: Model, store: Store) -> str:
    """Returns the last time of a store after which it has all that a model forecasts."""
    hours = max(f.token_size[0] * f.window.step_hours for f in model.predicted)
    last = store.time[-1] - np.timedelta64(round(60 * hours), "m")
    return iso(last)


def _across(store: Store) -> dict[str, tuple[float, float]]:
    """Returns three grid points from north-west to south-east, called by their coordinates."""
    found = {}
    for quarter in (1, 2, 3):
        axes = sorted(store.latitude)[::-1], store.longitude
        latitude, longitude = (float(axis[len(axis) * quarter // 4]) for axis in axes)
        longitude = (longitude + 180) % 360 - 180
        north, east = round(latitude, 2), round(longitude, 2)
        name = f"{format_degrees(north, 'NS')} {format_degrees(east, 'EW')}"
        found[name] = latitude, longitude
    return found
