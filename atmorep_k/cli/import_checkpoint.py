"""`atmorep-k import-checkpoint`: open a model of the original AtmoRep."""

from pathlib import Path

import click


@click.command("import-checkpoint")
@click.argument(
    "sources", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN..."
)
@click.option("--output", required=True, type=click.Path(path_type=Path), help="Model to write.")
@click.option(
    "--epoch",
    type=click.IntRange(min=0),
    help="Epoch whose weights are taken.  [default: those without a number, else the last]",
)
@click.option(
    "--statistics",
    metavar="STORE",
    help="Store whose statistics normalise the fields, so that the model needs no other store.",
)
@click.option("--overwrite", is_flag=True, help="Replace an existing model.")
def import_checkpoint(sources, output, epoch, statistics, overwrite):
    """Turn a run of the original AtmoRep into a model that opens here, on any backend.

    RUN is the directory that holds model_id<run>.json and AtmoRep_id<run>.mod (or that .mod file).
    Without the .mod file the model is put together from the files of its blocks, those of the
    single-field runs that the JSON names among them. Several runs become one model of all fields.

    \b
    Example:
      atmorep-k import-checkpoint models/idj8dwr5qj --output velocity_u.keras
    """
    from atmorep_k.original.writing import import_to_file

    report, listing = import_to_file(
        sources, output, epoch=epoch, statistics=statistics, overwrite=overwrite
    )
    for line in report.summary():
        click.echo(line)
    click.echo(listing)
    click.echo(output)
