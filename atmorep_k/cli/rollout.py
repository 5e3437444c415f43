"""`atmorep-k rollout`: forecasts beyond a window."""

import click

from atmorep_k.cli.prediction_options import overlap_option, prediction_options


@click.command()
@prediction_options("model", "store", "stores", "times")
@click.option("--hours", type=float, required=True, help="How far to forecast, at least.")
@click.option("--tokens", default=1, show_default=True, help="Time tokens forecast at once.")
@click.option(
    "--feed",
    default="members",
    show_default=True,
    help="What goes on: members, random (drawn anew each time) or mean.",
)
@click.option("--seed", default=0, show_default=True, help="Of what is drawn.")
@prediction_options("region", "batch_size", "output", "overwrite", "resume")
@overlap_option
def rollout(model, store, times, **options):
    """Forecast further than a window reaches: forecasts are fed back.

    TIME is the last hour that the model sees. MODEL is a saved model or the directory of its run.

    Example: atmorep-k rollout runs/pretrain_field --store demo --time 2000-01-18T06 --hours 48
    --overlap 1 1 --output rollout.zarr
    """
    from atmorep_k.tasks.report import predict_and_report
    from atmorep_k.tasks.rollout import rollout as predict

    options["unit"] = "forecasts"
    for path in predict_and_report(predict, model, store, times, **options):
        click.echo(path)
