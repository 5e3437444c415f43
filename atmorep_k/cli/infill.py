"""`atmorep-k infill`: what is missing in a record, predicted."""

import click

from atmorep_k.cli.prediction_options import prediction_options


@click.command()
@prediction_options()
@click.option(
    "--block", nargs=4, type=float, metavar="S N W E", help="Known values to hide as well."
)
@click.option(
    "--hours", nargs=2, type=float, metavar="A B", help="Hours of the block after TIME [all]."
)
def infill(model, store, times, **options):
    """Predict missing values (NaN) from what is known around them, which stays as it is.

    TIME is the first hour of a window. MODEL is a saved model or the directory of its run.

    Example: atmorep-k infill runs/pretrain_field --store demo --time 2000-01-18T00
    --block 30 60 0 60 --output filled.nc
    """
    from atmorep_k.tasks.infill import infill as predict
    from atmorep_k.tasks.report import predict_and_report

    for path in predict_and_report(predict, model, store, times, **options):
        click.echo(path)
