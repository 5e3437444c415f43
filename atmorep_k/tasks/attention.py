"""Where a token looks: the attention of one token of a window, in all layers of a model."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from atmorep_k.tasks.question import (
    ModelQuestion,
    function_of,
    option,
    question_dataclass,
    store_pairs,
)

if TYPE_CHECKING:
    import xarray as xr

    from atmorep_k.inference.request import Answer


@question_dataclass
class Attention(ModelQuestion):
    """Show where one token of a window looks.

    The weights of all layers and heads of a model are written. TIME is the last hour that the model
    sees. The token is the one of the field that contains the place, level and hour. It lies in the
    middle of its window, as far as the edges of the store allow. The model runs once, as it always
    does; the weights are computed from the same queries and keys for this token alone.

    Returns:
        Variables of (`layer`, `head`, `level`, `time`, `latitude`, `longitude`), the last four of
        the middles of tokens, as `attention_data.labelled` says; weights sum to 1 over those where
        they are not NaN. `query_level`, `query_time` and so on say where the token lies, and
        `hidden` which tokens of the field the model did not see.

    Raises:
        UserError: if something does not fit; checked before work begins.
    """

    name = "attention"
    example = (
        "runs/pretrain_field --store demo --time 2000-01-19T06 --at 50 10 --level 500 --hide 1 "
        "--output attention.nc"
    )

    time: str = option(
        "Last hour that the model sees, in UTC, such as 2021-02-10T06.",
        kw_only=False,
        metavar="TIME",
    )
    at: Sequence[float] = option(
        "Latitude and longitude of the token in degrees.",
        kw_only=False,
        metavar="LAT LON",
        count=2,
    )
    field: str | None = option(
        "Field of the token, or an alias of it.", default=None, default_text="the first predicted"
    )
    level: float | None = option(
        "Level of the token.", default=None, default_text="the first of the field"
    )
    hour: float | None = option(
        "Hours after TIME, or before it if negative.",
        default=None,
        default_text="the last of the window",
    )
    hide: int = option(
        "Number of last time tokens to mask, as in a forecast. A masked token is the query of what "
        "the model looks at to predict it.",
        default=0,
    )
    layer: int | None = option(
        "Layer whose heads are drawn.", default=None, default_text="the last"
    )
    output: str | Path | None = option(
        "FILE.nc; maps go to FILE_plots/.", default=None, required=True
    )

    def answer(self) -> "Answer":
        """Returns the weights, the model and the store of the field."""
        from atmorep_k.inference.request import Domain, Output
        from atmorep_k.tasks.token_attention import Token, attention_of

        return attention_of(
            self.model,
            self.time,
            Domain(self.store, store_pairs(self.stores)),
            Output(self.output, self.overwrite),
            Token(self.at, self.field, self.level, self.hour),
            hide=self.hide,
            layer=self.layer,
        )

    def ask(self) -> "xr.Dataset":
        """Returns the weights."""
        return self.answer().prediction

    def present(self) -> list[Path]:
        """Asks, and draws maps into `<stem of output>_plots`."""
        from atmorep_k.figures.maps import coastlines_of
        from atmorep_k.inference.output import plots_of
        from atmorep_k.tasks.attention_maps import draw_attention

        answer, output = self.answer(), self.output_path
        lines = coastlines_of(answer.stores.values())
        return [output, *draw_attention(answer.prediction, self.layer, lines, plots_of(output))]


attention = function_of(Attention)
