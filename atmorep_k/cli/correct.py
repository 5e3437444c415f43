"""`atmorep-k correct`: another model's fields, reconstructed."""

import click

from atmorep_k.cli.prediction_options import overlap_option, prediction_options


@click.command()
@prediction_options()
@click.option("--passes", default=4, show_default=True, help="Passes that hide all tokens once.")
@click.option(
    "--statistics",
    type=click.Choice(["model", "store"]),
    default="model",
    show_default=True,
    help="Whose mean and variability the input is normalised by.",
)
@click.option("--truth", metavar="STORE", help="Store, or 'demo', to compare both with.")
@overlap_option
def correct(model, store, times, **options):
    """Predict all of STORE, fields of another model, from their own neighbourhood.

    TIME is the first hour of a window. MODEL is a saved model or the directory of its run.

    Example: atmorep-k correct runs/pretrain_field --store other.zarr --time 2000-01-18T00
    --truth demo --output corrected.zarr
    """
    from atmorep_k.tasks.correct import correct as predict
    from atmorep_k.tasks.correct_report import judge
    from atmorep_k.tasks.report import predict_and_report

    for path in predict_and_report(predict, model, store, times, report=judge, **options):
        click.echo(path)
