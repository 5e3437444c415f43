"""`atmorep-k counterfactual`: what a model predicts when it is told another time or level."""

import click

from atmorep_k.cli.prediction_options import overlap_option, prediction_options


@click.command()
@prediction_options()
@click.option("--year", type=int, help="Year that the model is told.")
@click.option("--day", type=int, help="Day of the year that it is told, from 1.")
@click.option("--hour", type=int, help="Hour of the day (UTC) that it is told.")
@click.option("--level", type=float, help="Level that it is told, for all levels.")
@click.option("--task", default="forecast", show_default=True, help="Or interpolate.")
@click.option("--tokens", type=int, help="Time tokens to forecast [1].")
@click.option(
    "--time-token", type=int, help="The interpolated time token, from 0 [the middle one]."
)
@overlap_option
def counterfactual(model, store, times, **options):
    """Predict each TIME twice: as it was, and told another year, day, hour or level.

    TIME is the last visible hour; what is given is told in its place. MODEL is a saved model or
    the directory of its run.

    Example: atmorep-k counterfactual runs/pretrain_field --store demo --time 2000-01-19T06
    --day 200 --output summer.nc
    """
    from atmorep_k.tasks.counterfactual import counterfactual as predict
    from atmorep_k.tasks.counterfactual_report import compare
    from atmorep_k.tasks.report import predict_and_report

    for path in predict_and_report(predict, model, store, times, report=compare, **options):
        click.echo(path)
