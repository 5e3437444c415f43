"""`atmorep-k report`: one page about a run, an evaluation or a prediction."""

from pathlib import Path

import click

from atmorep_k.cli.asking import stores_option


@click.command(short_help="Write one page about a run, an evaluation or a prediction.")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="FILE.html  [default: PATH/report.html; for a prediction PATH_report.html beside it]",
)
@click.option(
    "--store",
    help="Store, or 'demo', to predict on: adds places and attention of the models of runs.",
)
@stores_option
@click.option(
    "--time",
    metavar="TIME",
    help="Last hour that the models see.  [default: the last for which the store has the truth]",
)
@click.option(
    "--at",
    "places",
    nargs=2,
    type=float,
    multiple=True,
    metavar="LAT LON",
    help="Place to predict at; may be repeated.  [default: three across the store]",
)
@click.option("--overwrite", is_flag=True, help="Replace an existing output.")
def report(paths, **options):
    """Write one HTML page about runs, evaluations and predictions, which opens without a network.

    PATH is the directory of a run, finished or not, a directory that `evaluate` wrote, or the
    output of a task with its pictures beside it.

    \b
    Example:
      atmorep-k report runs/pretrain_field --store demo
    """
    from atmorep_k.reporting.report import report as write

    click.echo(write(paths, **options))
