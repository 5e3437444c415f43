"""`atmorep-k reconstruct`: random tokens predicted from the others."""

import click

from atmorep_k.cli.prediction_options import prediction_options


@click.command()
@prediction_options()
@click.option("--ratio", default=0.5, show_default=True, help="Share of tokens to hide.")
@click.option("--seed", default=0, show_default=True, help="Of the choice of tokens.")
def reconstruct(model, store, times, **options):
    """Hide random tokens and predict them from the others, as in training.

    TIME is the first hour of a window. MODEL is a saved model or the directory of its run.

    Example: atmorep-k reconstruct runs/pretrain_field --store demo --time 2000-01-18T00
    --ratio 0.7 --output holes.nc
    """
    import atmorep_k
    from atmorep_k.tasks.report import predict_and_report

    for path in predict_and_report(atmorep_k.reconstruct, model, store, times, **options):
        click.echo(path)
