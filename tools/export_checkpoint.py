"""Writes a model of ours in the files of the original AtmoRep, where it can express it.

Example: python tools/export_checkpoint.py velocity_u.keras --run k0velou1 --output models
"""

from pathlib import Path

import click


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--run", required=True, help="Id of the run, in the names of all its files.")
@click.option(
    "--output", required=True, type=click.Path(path_type=Path), help="Where id<run> goes."
)
def main(model, run, output):
    """Write MODEL as a run of the original: model_id<run>.json, AtmoRep_id<run>.mod, its blocks."""
    from atmorep_k.errors import UserError
    from atmorep_k.original.writing import export_checkpoint
    from atmorep_k.saved.description import describe_model
    from atmorep_k.saved.loading import load_model

    try:
        describe_model(model)  # says in one sentence where it is no model
        click.echo(export_checkpoint(load_model(model), output, run))
    except UserError as error:
        raise click.ClickException(str(error)) from None


if __name__ == "__main__":
    main()
