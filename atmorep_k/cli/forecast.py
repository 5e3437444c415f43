"""`atmorep-k forecast`: the hours after given times."""

import click

from atmorep_k.cli.prediction_options import overlap_option, prediction_options


@click.command()
@prediction_options()
@click.option("--tokens", type=int, help="Time tokens to forecast.  [1]")
@click.option("--hours", type=float, help="How far to forecast, in place of --tokens.")
@overlap_option
@click.option("--dry-run", is_flag=True, help="Say what it would take; forecast nothing.")
def forecast(model, store, times, dry_run, **options):
    """Forecast the hours after each TIME, the last hour that the model sees.

    MODEL is a saved model or the directory of its run. Hours after the end of the store can be
    forecast.

    Example: atmorep-k forecast runs/pretrain_field --store demo --time 2000-01-19T06
    --overlap 1 1 --output forecast.zarr
    """
    if dry_run:
        _say_what_it_takes(model, store, times, **options)
        return
    import atmorep_k
    from atmorep_k.tasks.report import predict_and_report

    for path in predict_and_report(atmorep_k.forecast, model, store, times, **options):
        click.echo(path)


def _say_what_it_takes(model, store, times, members, region, resume, **options):
    from atmorep_k.costs.prediction import estimate_forecast

    for line in estimate_forecast(model, store, times, region=region or None, **options):
        click.echo(line)
