"""The last layer of a model per token, as labelled data for other models."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from atmorep_k.tasks.question import (
    TimesQuestion,
    function_of,
    option,
    question_dataclass,
    store_pairs,
)

if TYPE_CHECKING:
    import xarray as xr

    from atmorep_k.inference.request import Answer


@question_dataclass
class Features(TimesQuestion):
    """Write the last layer of each token, as data for other models.

    TIME is the last hour of a window; nothing is masked. Windows lie side by side from the
    north-west corner; where the last one would reach out, it lies by whole tokens further in, or
    continues round the globe, and its tokens count only where no other window has them. Points
    beyond the last whole token of a grid are left out. Memory holds one time.

    Returns:
        `features` (`time`, `level`, `token_time`, `latitude`, `longitude`, `feature`) float32, at
        the middles of tokens; `token_time` counts from `time`.

    Raises:
        UserError: if something does not fit; checked before work begins.
    """

    name = "features"
    example = "runs/pretrain_field --store demo --time 2000-01-19T06 --output features.zarr"

    field: str | None = option(
        "Field whose tokens are written, or an alias of it.",
        default=None,
        default_text="the first predicted",
    )
    origin: Literal["encoder", "decoder"] = option(
        "Part of the model whose last layer is written.", default="encoder", flag="--from"
    )
    region: Sequence[float] | None = option(
        "South, north, west and east in degrees, of the centres of tokens.",
        default=None,
        metavar="S N W E",
        count=4,
        default_text="whole grid",
    )
    output: str | Path | None = option(
        "FILE.zarr or FILE.nc, written time by time; a map goes to FILE_plots/.",
        default=None,
        required=True,
    )

    def answer(self) -> "Answer":
        """Returns the features, the model and the store of the field."""
        from atmorep_k.inference.request import Domain, Output
        from atmorep_k.tasks.token_features import features_of

        return features_of(
            self.model,
            self.times,
            Domain(self.store, store_pairs(self.stores), region=self.region),
            Output(self.output, self.overwrite),
            field=self.field,
            origin=self.origin,
            batch_size=self.batch_size,
            progress=self.progress,
        )

    def ask(self) -> "xr.Dataset":
        """Returns the features."""
        return self.answer().prediction

    def present(self) -> list[Path]:
        """Asks, and draws a map into `<stem of output>_plots`."""
        from atmorep_k.figures.maps import coastlines_of
        from atmorep_k.inference.output import plots_of
        from atmorep_k.tasks.features_maps import draw_features
        from atmorep_k.tasks.presenting import watched

        answer, output = watched(self, "encoding", "windows"), self.output_path
        lines = coastlines_of(answer.stores.values())
        with answer.prediction:
            return [output, draw_features(answer.prediction, plots_of(output), lines)]


features = function_of(Features)
