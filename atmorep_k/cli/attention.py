"""`atmorep-k attention`: where one token looks."""

from pathlib import Path

import click

from atmorep_k.cli.prediction_options import prediction_options


@click.command()
@prediction_options("model", "store", "stores")
@click.option("--time", required=True, metavar="TIME", help="Last hour that the model sees.")
@click.option(
    "--at", required=True, nargs=2, type=float, metavar="LAT LON", help="Place of the token."
)
@click.option("--field", help="Field of the token.  [first predicted]")
@click.option("--level", type=float, help="Level of the token.  [first of the field]")
@click.option("--hour", type=float, help="Hours after TIME, or before it if negative.  [last]")
@click.option("--hide", default=0, show_default=True, help="Last time tokens hidden: a forecast.")
@click.option("--layer", type=int, help="Layer whose heads are drawn.  [last]")
@click.option(
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="FILE.nc; maps go to FILE_plots/.",
)
@prediction_options("overwrite")
def attention(output, layer, **options):
    """Write and draw where one token looks, in all layers and heads of a model.

    MODEL is a saved model or the directory of its run. The token is the one that contains place,
    level and hour.

    Example: atmorep-k attention runs/pretrain_field --store demo --time 2000-01-19T06 --at 50 10
    --level 500 --hide 1 --output attention.nc
    """
    from atmorep_k.figures.maps import coastlines_of
    from atmorep_k.inference.output import plots_of
    from atmorep_k.tasks.attention import attention as look
    from atmorep_k.tasks.attention_maps import draw_attention

    def draw(found, store):
        lines = coastlines_of([store])
        for path in [output, *draw_attention(found, layer, lines, plots_of(output))]:
            click.echo(path)

    look(output=output, layer=layer, finish=draw, **options)
