"""`atmorep-k features`: the last hidden layer per token."""

from pathlib import Path

import click

from atmorep_k.cli.prediction_options import prediction_options


@click.command()
@prediction_options("model", "store", "stores", "times")
@click.option("--field", help="Field whose tokens are written.  [first predicted]")
@click.option(
    "--from",
    "origin",
    type=click.Choice(["encoder", "decoder"]),
    default="encoder",
    show_default=True,
    help="Part of the model whose last layer is written.",
)
@prediction_options("region", "batch_size")
@click.option(
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="FILE.zarr or FILE.nc; a map goes to FILE_plots/.",
)
@prediction_options("overwrite")
def features(output, region, **options):
    """Write the last hidden layer of a model for each token, as data for other models.

    TIME is the last hour of a window, of which nothing is hidden. MODEL is a saved model or the
    directory of its run.

    Example: atmorep-k features runs/pretrain_field --store demo --time 2000-01-19T06
    --output features.zarr
    """
    from atmorep_k.console import bar
    from atmorep_k.figures.maps import coastlines_of
    from atmorep_k.inference.output import plots_of
    from atmorep_k.tasks.features import features as made
    from atmorep_k.tasks.features_maps import draw_features

    answer = []
    with bar("encoding", "windows/s") as shown:
        options |= {"region": region or None, "progress": shown.advance}
        made(output=output, finish=lambda *all: answer.extend(all), **options)
    found, store = answer
    lines = coastlines_of([store])
    with found:
        picture = draw_features(found, plots_of(output), lines)
    for path in (output, picture):
        click.echo(path)
