"""`atmorep-k interpolate`: hidden hours filled from both sides."""

import click

from atmorep_k.cli.prediction_options import overlap_option, prediction_options


@click.command()
@prediction_options()
@click.option("--time-token", type=int, help="The hidden time token, from 0 [the middle one].")
@overlap_option
def interpolate(model, store, times, **options):
    """Fill the hours of a hidden time token, from those before and after.

    TIME is the last visible hour before them. MODEL is a saved model or the directory of its run.

    Example: atmorep-k interpolate runs/pretrain_field --store demo --time 2000-01-19T06
    --output between.nc
    """
    import atmorep_k
    from atmorep_k.tasks.report import predict_and_report

    for path in predict_and_report(atmorep_k.interpolate, model, store, times, **options):
        click.echo(path)
