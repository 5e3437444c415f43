"""`atmorep-k add-field`: add a new field to a saved model without changing its weights."""

from pathlib import Path

import click

from atmorep_k.cli.config import set_option


@click.command("add-field")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@set_option
@click.option(
    "--output", required=True, type=click.Path(path_type=Path), help="Run directory to write."
)
@click.option("--dry-run", is_flag=True, help="Print an estimate and exit.")
def add_field(model, files, overrides, output, dry_run):
    """Freeze MODEL and train a new field that learns from it, as FILE describes.

    Only new weights are trained. At the end the command proves that the old fields are unchanged,
    and compares the new one with itself trained alone for the same time, unless
    ExtendedModel.compare=False. Resume an interrupted run with  atmorep-k run --resume OUTPUT.

    Example: atmorep-k add-field runs/pretrain_field gin/add_field.gin --output runs/add_field
    """
    from atmorep_k import config
    from atmorep_k.cli.run import start

    configuration = config.load(files, (f"ExtendedModel.model={model}", *overrides))
    start(configuration, output, dry_run)
