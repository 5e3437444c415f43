"""`atmorep-k point`: time series at places."""

from pathlib import Path

import click

from atmorep_k.cli.prediction_options import prediction_options


@click.command()
@prediction_options("model", "store", "stores", "fields", "times")
@click.option(
    "--at", "places", nargs=2, type=float, multiple=True, metavar="LAT LON", help="May be repeated."
)
@click.option(
    "--places",
    "file",
    type=click.Path(path_type=Path),
    help="CSV with columns latitude, longitude and perhaps name.",
)
@click.option(
    "--task",
    type=click.Choice(["forecast", "interpolate"]),
    default="forecast",
    show_default=True,
    help="What TIME means, as in the command of that name.",
)
@click.option("--tokens", type=int, help="Time tokens to forecast.  [1]")
@click.option("--time-token", type=int, help="Time token to interpolate.  [the middle one]")
@prediction_options("batch_size")
@click.option(
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="FILE.csv, FILE.nc or FILE.zarr; plots go to FILE_plots/.",
)
@prediction_options("overwrite")
def point(model, store, times, places, file, **options):
    """Predict at places, each in the middle of a window of its own.

    MODEL is a saved model or the directory of its run. A CSV has mean, spread and quantiles of the
    members, the other files have all members.

    Example: atmorep-k point runs/pretrain_field --store demo --time 2000-01-19T06 --at 52.5 13.4
    --output berlin.csv
    """
    from atmorep_k.tasks.point_report import point_and_report

    if bool(places) == bool(file):
        raise click.UsageError("give either --at LAT LON or --places FILE.")
    for path in point_and_report(model, store, times, file or places, **options):
        click.echo(path)
