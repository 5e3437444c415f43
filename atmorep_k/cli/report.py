"""`atmorep-k report`: one page about a run, an evaluation or a prediction."""

from pathlib import Path

import click

from atmorep_k.cli.prediction_options import prediction_options


@click.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="FILE.html  [PATH/report.html; beside a prediction PATH_report.html]",
)
@click.option(
    "--store", help="Ask models of runs with this store, or 'demo': places and attention."
)
@prediction_options("stores")
@click.option(
    "--time",
    metavar="TIME",
    help="Last hour that the models see.  [the last that the store can check]",
)
@click.option(
    "--at",
    "places",
    nargs=2,
    type=float,
    multiple=True,
    metavar="LAT LON",
    help="Place to ask for; may be repeated.  [three across the store]",
)
@prediction_options("overwrite")
def report(paths, **options):
    """Write one HTML page about runs, evaluations and predictions, which opens without a network.

    PATH is the directory of a run, finished or not, a directory that `evaluate` wrote, or the
    output of a task that lies beside its pictures.

    Example: atmorep-k report runs/pretrain_field --store demo
    """
    from atmorep_k.reporting.report import report as write

    click.echo(write(paths, **options))
