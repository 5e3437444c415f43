"""`atmorep-k features`: the last hidden layer per token."""

from pathlib import Path

import click

from atmorep_k.cli.prediction_options import stores_option


@click.command()
@click.argument("model", metavar="MODEL")
@click.option("--store", required=True, help="Store, or 'demo'.")
@stores_option
@click.option("--time", "times", required=True, multiple=True, metavar="TIME")
@click.option("--field", help="Field whose tokens are written.  [first predicted]")
@click.option(
    "--from",
    "origin",
    type=click.Choice(["encoder", "decoder"]),
    default="encoder",
    show_default=True,
    help="Part of the model whose last layer is written.",
)
@click.option("--region", nargs=4, type=float, metavar="S N W E", help="[whole grid]")
@click.option("--batch-size", default=16, show_default=True, help="Windows at once.")
@click.option(
    "--output", required=True, type=click.Path(path_type=Path), help="FILE.zarr or FILE.nc."
)
@click.option("--overwrite", is_flag=True, help="Replace an existing output.")
def features(output, region, **options):
    """Write the last hidden layer of a model for each token, as data for other models.

    TIME is the last hour of a window, of which nothing is hidden. MODEL is a saved model or the
    directory of its run.

    Example: atmorep-k features runs/pretrain_field --store demo --time 2000-01-19T06
    --output features.zarr
    """
    from atmorep_k import features as made
    from atmorep_k.progress import bar

    with bar("encoding", "windows/s") as shown:
        options |= {"region": region or None, "progress": shown.advance}
        made.features(output=output, **options).close()
    click.echo(output)
